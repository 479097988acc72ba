/** The commands of Redis, as its clients write them: `*2\r\n$3\r\nGET\r\n$1\r\na\r\n`. One character of `text` for each byte. */
export const parse = (text: string) => {
  const commands: Array<ReadonlyArray<string>> = []
  const count = /[*$](\d{1,9})\r\n/y
  const next = () => Number(count.exec(text)?.[1] ?? NaN)
  for (let start = 0;; start = count.lastIndex) {
    count.lastIndex = start
    const words: Array<string> = []
    const expected = next()
    while (words.length < expected) {
      const end = next() + count.lastIndex
      if (!(end + 2 <= text.length)) break
      words.push(text.slice(count.lastIndex, end))
      count.lastIndex = end + 2
    }
    if (words.length !== expected) return { commands, rest: text.slice(start) }
    commands.push(words)
  }
}
