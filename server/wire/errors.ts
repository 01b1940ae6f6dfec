/** The JSON of every refusal. The codes stand in docs/http-api.md. */
export interface ErrorJson {
  error: {
    code: string;
    /** A sentence that may be shown to a person. */
    message: string;
    /** The field of the request that is wrong. */
    field?: string;
  };
  /** On the routes that had it in earlier services. */
  status?: 'error';
}
