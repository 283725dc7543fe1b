/** Decides which of the actors that have something to do goes next, and when. */
export interface Turns {
  /** Gives `actor` one turn, never before this call has returned. It asks again only once it had that turn. */
  request(actor: TurnTaker): void;
}

export interface TurnTaker {
  readonly name: string;
  /** Handles up to `maxMessages` messages. Never throws. @returns how many it handled. */
  takeTurn(maxMessages: number): number;
}
