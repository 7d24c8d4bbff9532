/** What every request of kyconnect says it comes from. */
export const userAgent = 'kyconnect'
