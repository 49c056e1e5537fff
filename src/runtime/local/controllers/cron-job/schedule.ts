/** The times of a schedule: five fields of crontab(5), or one of its names such as `@hourly`. */
export interface Schedule {
  /** Each field's values; days of the month and of the week are joined as cron does. */
  minutes: ReadonlySet<number>
  hours: ReadonlySet<number>
  days: ReadonlySet<number>
  months: ReadonlySet<number>
  weekdays: ReadonlySet<number>
  /** Whether both kinds of days are restricted: then either is enough. */
  isEitherDay: boolean
}

const names: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}
const monthNames = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const weekdayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const minuteMs = 60_000
/** A schedule that has no time within this has none at all: leap days come back after eight years at most. */
const longestSearchMinutes = 9 * 366 * 24 * 60

/** Reads a schedule; undefined when it is none. */
export function parseSchedule(text: string): Schedule | undefined {
  const fields = (names[text.trim()] ?? text).trim().split(/\s+/)
  if (fields.length !== 5) return undefined
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  const minutes = parseField(minute, 0, 59)
  const hours = parseField(hour, 0, 23)
  const days = parseField(day, 1, 31)
  const months = parseField(month, 1, 12, monthNames)
  const weekdays = parseField(weekday, 0, 7, weekdayNames)
  if (!minutes || !hours || !days || !months || !weekdays) return undefined
  if (weekdays.has(7)) weekdays.add(0)
  return {
    minutes,
    hours,
    days,
    months,
    weekdays,
    isEitherDay: !day.startsWith('*') && !weekday.startsWith('*'),
  }
}

function parseField(
  text: string,
  lowest: number,
  highest: number,
  words: string[] = [],
): Set<number> | undefined {
  const values = new Set<number>()
  for (const part of text.toLowerCase().split(',')) {
    const match = /^(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:\/(\d+))?$/.exec(part)
    if (match === null) return undefined
    const [, from = '', to, step] = match
    const number = (word: string) => (words.includes(word) ? words.indexOf(word) + lowest : Number(word))
    const first = from === '*' ? lowest : number(from)
    const last = to !== undefined ? number(to) : from === '*' || step !== undefined ? highest : first
    const increment = Number(step ?? 1)
    const isRange = first >= lowest && last <= highest && first <= last && increment > 0
    if (!isRange) return undefined
    for (let value = first; value <= last; value += increment) values.add(value)
  }
  return values
}

/**
 * The next time of a schedule after a time, in milliseconds since the epoch; undefined when there is none.
 * @param timeZone IANA name
 */
export function nextTimeMs(schedule: Schedule, afterMs: number, timeZone = 'UTC'): number | undefined {
  const clock = wallClock(timeZone)
  let atMs = (Math.floor(afterMs / minuteMs) + 1) * minuteMs
  for (let minutes = 0; minutes < longestSearchMinutes; ) {
    const { minute, hour, day, month, weekday } = clock(atMs)
    const isDay = dayMatches(schedule, day, weekday) && schedule.months.has(month)
    if (isDay && schedule.hours.has(hour) && schedule.minutes.has(minute)) return atMs
    // To the next hour unless the minute is what differs; a zone's offset may change between days, not hours.
    const skip = isDay && schedule.hours.has(hour) ? 1 : 60 - minute
    atMs += skip * minuteMs
    minutes += skip
  }
  return undefined
}

function dayMatches({ days, weekdays, isEitherDay }: Schedule, day: number, weekday: number): boolean {
  return isEitherDay ? days.has(day) || weekdays.has(weekday) : days.has(day) && weekdays.has(weekday)
}

interface WallTime {
  minute: number
  hour: number
  day: number
  month: number
  weekday: number
}

function wallClock(timeZone: string): (atMs: number) => WallTime {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    minute: 'numeric',
    hour: 'numeric',
    day: 'numeric',
    month: 'numeric',
    weekday: 'short',
  })
  return (atMs) => {
    const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, value]))
    const number = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type))
    const weekday = weekdayNames.indexOf((parts.get('weekday') ?? '').toLowerCase())
    return {
      minute: number('minute'),
      hour: number('hour'),
      day: number('day'),
      month: number('month'),
      weekday,
    }
  }
}
