/** What the platform says in English, and how it is said in another language; `%1`, `%2`… are what is put in. */
type Texts = Record<string, string>;

interface Pattern {
  /** The longest piece that is always there: most sentences are told apart by it, without a search. */
  piece: string;
  match: RegExp;
  text: string;
  /** Whether it names what it is about first, as `placed` knows of any sentence. */
  placed: boolean;
}

const SAID = new Set(['message', 'hint']);
const GAP = /%(\d+)/g;
const SENTENCES = /(?<=[.?!])\s+(?=\S)/;
/** What ends a sentence, or what it is about. */
const BETWEEN = /(?<=[.?!])\s+(?=\S)|: /;
const PLACE = /^([^\n]{1,100}?): (.+)$/;
/** Where what people and programs have made comes from: that stays as it is. */
const MADE = /\/(content|preview|predict|revisions\/[^/?]+)(\?|$)/;
/** Nobody writes so long a sentence: it is somebody's output. */
const LONGEST = 4000;

/** Whether an answer is the platform's own words. */
export function isSaid(url: string, isGood: boolean): boolean {
  return !isGood || !MADE.test(url);
}

/**
 * The platform's own sentences in the person's language.
 *
 * A sentence is known by its pattern; what is put into it may be one itself. What is not known stays as it is: names,
 * and what programs have said.
 */
export class Phrases {
  /** Whether there is nothing to translate. */
  readonly none: boolean;

  constructor(private readonly texts: Texts = {}) {
    this.none = Object.keys(texts).length === 0;
  }

  /** The phrases of a language such as `zh_CN`; none where there are none of it, and for English, which is empty. */
  static async load(language: string): Promise<Phrases> {
    if (language === '') {
      return new Phrases();
    }
    try {
      const file = (await import(`../said/${language}.json`)) as { default: Texts };
      return new Phrases(file.default);
    } catch {
      return new Phrases();
    }
  }

  /** JSON of the platform with its messages and hints in the language. */
  parse(json: string): unknown {
    const said = (key: string, value: unknown): unknown =>
      SAID.has(key) && typeof value === 'string' ? this.say(value) : value;
    return JSON.parse(json, this.none ? undefined : said);
  }

  /** `text` in the language, as far as it is known. */
  say(text: string): string {
    if (this.none || text.length > LONGEST) {
      return text;
    }
    let said = this.known.get(text);
    if (said === undefined) {
      said =
        this.one(text) ?? this.oneByOne(text) ?? this.placed(text) ?? this.whole(text) ?? this.inLines(text);
      this.known.set(text, said);
    }
    return said;
  }

  /** One sentence and nothing before or after it. */
  private one(text: string): string | undefined {
    return this.whole(text, BETWEEN);
  }

  /** One sentence; where what is put in would hold `never`, it is not that one. */
  private whole(text: string, never?: RegExp): string | undefined {
    const sentence = text.trim();
    const exact = this.texts[sentence];
    if (exact !== undefined) {
      return exact;
    }
    for (const { piece, match, text: template, placed } of this.allPatterns()) {
      const found = sentence.includes(piece) && !(never && placed) ? match.exec(sentence) : null;
      if (found && !(never && found.slice(1).some(part => never.test(part)))) {
        return template.replace(GAP, (_, number: string) => this.say(found[Number(number)]));
      }
    }
    return undefined;
  }

  /** Sentences one after another, each of which is known. */
  private oneByOne(text: string): string | undefined {
    const said = text.split(SENTENCES).map(sentence => this.one(sentence) ?? this.placed(sentence));
    return said.every(one => one !== undefined) ? (said as string[]).reduce(joined) : undefined;
  }

  /** A sentence that is known, after the name of what it is about and a colon. */
  private placed(text: string): string | undefined {
    const [, place, rest] = PLACE.exec(text) ?? [];
    const said = rest && (this.one(rest) ?? this.placed(rest));
    return said ? `${place}: ${said}` : undefined;
  }

  /** Lines and sentences as far as they are known. */
  private inLines(text: string): string {
    const [parts, join] = text.includes('\n')
      ? [text.split('\n'), (before: string, after: string) => `${before}\n${after}`]
      : [text.split(SENTENCES), joined];
    return parts.length > 1 ? parts.map(part => this.say(part)).reduce(join) : text;
  }

  /** Those that say most come first, so that a short one takes nothing from a long one. */
  private allPatterns(): Pattern[] {
    this.patterns ??= Object.keys(this.texts)
      .filter(sentence => sentence.search(GAP) >= 0)
      .sort((one, other) => other.replace(GAP, '').length - one.replace(GAP, '').length)
      .map(sentence => patternOf(sentence, this.texts[sentence]));
    return this.patterns;
  }

  private patterns: Pattern[] | undefined;
  private readonly known = new Map<string, string>();
}

function patternOf(sentence: string, text: string): Pattern {
  const pieces = sentence.split(/%\d+/);
  const escaped = pieces.map(piece => piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const piece = pieces.reduce((longest, one) => (one.length > longest.length ? one : longest));
  const match = new RegExp(`^${escaped.join('(.*?)')}$`, 's');
  return { piece, match, text, placed: /^`?%1`?: /.test(sentence) };
}

/** Without a space after a mark that has its own. */
function joined(before: string, after: string): string {
  return /[。？！：；]$/.test(before) ? before + after : `${before} ${after}`;
}
