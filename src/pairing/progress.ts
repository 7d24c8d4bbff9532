/** What a flow tells about itself while it goes. */
export interface Progress {
  /** A step begins: it may take a while. */
  begin(step: string): void
  /** The step that began has settled. */
  done(step: string, detail: string): void
  /** Something that is good to know. */
  note(text: string): void
  /** Something the user should know and nothing stops for. */
  warn(text: string): void
}
