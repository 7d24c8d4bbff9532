/**
 * Whether Go parses a text with the layout time.RFC3339: capitals only, seconds to 59, a fraction after a dot or a comma. The hour may
 * have one digit, which RFC 3339 does not allow.
 */
export function isRfc3339(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})(?:[.,]\d+)?(?:Z|[+-](\d{2}):(\d{2}))$/.exec(text)
  if (match === null) return false
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zoneHour = 0, zoneMinute = 0] = match
    .slice(1)
    .map((part) => Number(part || 0))
  const date = new Date(Date.UTC(2000, month - 1, day))
  date.setUTCFullYear(year, month - 1, day)
  const dayExists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return dayExists && hour < 24 && minute < 60 && second < 60 && zoneHour <= 24 && zoneMinute < 60
}
