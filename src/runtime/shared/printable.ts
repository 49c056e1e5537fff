/** C0 (but tab and newline), DEL, C1, and the marks that reorder text: what lets data drive a terminal. */
export const unsafeCharacters =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Text from a cluster, safe for a terminal: control characters are shown as `\x1b`, never sent. */
export function printable(text: string): string {
  return text.replace(unsafeCharacters, (character) => {
    const code = character.charCodeAt(0)
    return code <= 0xff
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`
  })
}
