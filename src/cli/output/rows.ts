/** Longer cells stay as they are, but do not widen their column: a name of a megabyte would repeat in blanks on every row. */
const maxWidth = 100

/** Columns padded to the width of their longest cell, and not after the last one. The heading is the first row. */
export function formatRows(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.min(maxWidth, Math.max(widths[column] ?? 0, cell.length))
    })
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}
