/** An answer of the platform that is not what was asked for: what happened, why, and what to do next. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly hint: string,
    readonly status: number
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** Whether the platform could not be reached, so that trying again later makes sense. */
  get away(): boolean {
    return this.status === 0 || this.status === 503;
  }

  /** The error in an answer's body; `status` tells where there is none. */
  static from(body: unknown, status: number): ApiError {
    const said = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    const text = (key: string): string => (typeof said[key] === 'string' ? (said[key] as string) : '');
    return new ApiError(
      text('message') || `HTTP ${status}`,
      text('code') || 'http_error',
      text('hint'),
      status
    );
  }
}
