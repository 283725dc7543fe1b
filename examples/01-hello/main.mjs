import { Omniq } from "omniq";

const omniq = await Omniq.open({ tasks: new URL("./tasks.ts", import.meta.url), storage: "./.omniq/hello" });

const handle = await omniq.enqueue("greet", ["world"]); // on disk when this resolves
console.log(await handle.result());

await omniq.close();
