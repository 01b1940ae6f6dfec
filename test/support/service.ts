export * from '../../scripts/support/service.ts';
