import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** A fenced block of a page that names its file in the first line, and what running it prints, where that is shown. */
export interface PageFile {
  readonly name: string;
  readonly code: string;
  readonly prints?: string;
}

/** The files that a page shows, in its order; `others` are languages of code blocks that name no file. */
export function filesIn(page: string): { readonly files: readonly PageFile[]; readonly others: readonly string[] } {
  const text = readFileSync(resolve(import.meta.dirname, "../..", page), "utf8");
  const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = "", code = ""]) => ({
    language,
    code,
  }));
  const files: PageFile[] = [];
  const others: string[] = [];
  blocks.forEach(({ language, code }, index) => {
    const name = /^\/\/ file: (\S+)\n/.exec(code)?.[1];
    const next = blocks[index + 1];
    if (name === undefined) others.push(language);
    else files.push({ name, code, ...(next?.language === "text" ? { prints: next.code } : {}) });
  });
  return { files, others };
}
