/** A cell: text, a number that stays one, or nothing. */
export type Cell = string | number | null;

/** What a spreadsheet takes for the start of a formula (OWASP, "CSV Injection"), the full-width forms included. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/u;

/**
 * One line of a CSV file (RFC 4180), with its line break. Text that a spreadsheet would run is made text with an
 * apostrophe before it; numbers are written as they are.
 *
 * Not csv-stringify: its `escape_formulas` turns negative numbers into text as well.
 *
 * @param separator - `,`; `;` for spreadsheets of places where the comma divides decimals.
 */
export function csvLine(cells: readonly Cell[], separator: string): string {
  return `${cells.map((cell) => cellText(cell, separator)).join(separator)}\r\n`;
}

/** Says to a spreadsheet that what follows is UTF-8. */
export const BYTE_ORDER_MARK = "\uFEFF";

function cellText(cell: Cell, separator: string): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  const text = FORMULA.test(cell) ? `'${cell}` : cell;
  const needsQuotes = text.includes(separator) || /["\r\n]/.test(text);
  return needsQuotes ? `"${text.replaceAll('"', '""')}"` : text;
}
