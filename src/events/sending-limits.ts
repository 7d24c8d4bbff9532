/** How events are sent unless the user chooses otherwise, and what the user may choose: on the command line, and in a program. */

/** Connections. */
export const defaultConcurrency = 16
export const maxConcurrency = 128
/** Requests in a second; by default there is no limit. */
export const maxRatePerSecond = 1_000_000
/** For how long failures are tried again while nothing succeeds. */
export const defaultRetryForMs = 5 * 60_000
/** 99999 hours, the longest time that --retry-for takes. */
export const maxRetryForMs = 99_999 * 3_600_000
