/** Where a request for a change came from, as the record of it says. */
export interface Origin {
  /** The name of the token that authenticated it; null where no token is asked for. */
  readonly token: string | null;
  /** The client's address; of a request that another controller sent on `<client> via <controller's address>`. */
  readonly from: string;
  /** The request's id, as the answer and the log say it. */
  readonly request_id: string;
}
