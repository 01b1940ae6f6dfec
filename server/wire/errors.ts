/** The JSON of every refusal. docs/http-api.md lists the codes. */
export interface ErrorJson {
  error: {
    code: string;
    /** A sentence that may be shown to a person. */
    message: string;
    /** The invalid field of the request. */
    field?: string;
  };
  /** Only on the routes that had it in the API of earlier services. */
  status?: 'error';
}
