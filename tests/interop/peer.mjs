// Answers calls on standard input, one JSON object a line: {"verb", ...arguments} to {"result"} or {"error"}.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** The version of a package that is installed here. */
function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
}

/** Serves these verbs until standard input ends. Standard output has nothing but the answers. */
export async function serve(packages, verbs) {
  const versions = () => packages.map((name) => [name, versionOf(name)])
  const all = { versions, ...verbs }
  for await (const line of createInterface({ input: process.stdin })) {
    const { verb, ...args } = JSON.parse(line)
    let answer
    try {
      answer = { result: (await all[verb](args)) ?? null }
    } catch (error) {
      answer = { error: `${error.name}: ${error.message}`.slice(0, 2000) }
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  process.exit(0)
}
