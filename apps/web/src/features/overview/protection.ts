import type { Source } from "@xvault/contracts";

/** The state of all sources in one sentence: '2 of 3 sources are protected; the last backup of mail-01 failed.' */
export function protectionSentence(sources: Pick<Source, "name" | "health">[]): string {
  const total = sources.length;
  if (total === 0) return "Nothing is backed up yet.";
  const of = (...healths: Source["health"][]) => sources.filter(({ health }) => healths.includes(health));
  const good = of("protected").length;
  const opening = good === total ? `All ${total} sources are protected` : `${good} of ${total} sources are protected`;
  const troubles: [Source["health"], (names: string) => string][] = [
    ["failed", (names) => `the last backup of ${names} failed`],
    ["overdue", (names) => `${names} ${names.includes(" and ") ? "are" : "is"} overdue`],
    ["warning", (names) => `${names} ${names.includes(" and ") ? "are" : "is"} backed up in part`],
    ["unprotected", (names) => `${names} ${names.includes(" and ") ? "have" : "has"} no backup yet`],
    ["paused", (names) => `${names} ${names.includes(" and ") ? "are" : "is"} paused`],
  ];
  const said = troubles.flatMap(([health, say]) => {
    const names = of(health).map(({ name }) => name);
    return names.length > 0 ? [say(listed(names))] : [];
  });
  if (total > 1) return `${[opening, ...said].join("; ")}.`;
  const [only = "Your source is protected"] = said;
  // A source's name keeps its case, also where the sentence begins with it.
  return `${only.replace(/^the last/, "The last")}.`;
}

function listed(names: string[]): string {
  if (names.length > 3) return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : (names[0] ?? "");
}
