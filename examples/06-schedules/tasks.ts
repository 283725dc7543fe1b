import { currentTask, cron, defineSchedule } from "omniq";

/** Says for which moment it was stored, and by which schedule. */
export const report = (subject: string) => `${currentTask().schedule?.name}: ${subject}`;

export const restock = ({ shelf, item }: { shelf: number; item?: string }) => `${item} to shelf ${shelf}`;

/** Declared in the module: every runtime that opens it has this schedule. */
export const tidyUp = defineSchedule("tidyUp", cron("0 4 * * SUN", { timezone: "Europe/Berlin" }), () => "tidy");
