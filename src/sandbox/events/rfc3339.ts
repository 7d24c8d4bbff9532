/**
 * Whether Go parses a text with the layout time.RFC3339: capitals only, seconds to 59, a fraction after a dot or a comma. The hour may
 * have one digit, which RFC 3339 does not allow.
 */
export function isRfc3339(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})(?:[.,]\d+)?(?:Z|[+-](\d{2}):(\d{2}))$/.exec(text)
  if (match === null) return false
  const [, year, month, day, hour, minute, second, zoneHour = '0', zoneMinute = '0'] = match
  const dayExists = Number(day) >= 1 && Number(day) <= daysOf(Number(year), Number(month))
  const timeExists = Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60
  return dayExists && timeExists && Number(zoneHour) <= 24 && Number(zoneMinute) < 60
}

/** The days of a month, 1 to 12; 0 for any other number. */
function daysOf(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  if (month < 1 || month > 12) return 0
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}
