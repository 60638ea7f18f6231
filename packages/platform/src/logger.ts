import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";
import pretty from "pino-pretty";
import { z } from "zod";
import { scrub, scrubText } from "./scrub.ts";

/** How much is logged. */
export const logLevel = z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
  message: "must be trace, debug, info, warn, error, fatal or silent",
});
export type LogLevel = z.infer<typeof logLevel>;

/** A logger of lines of JSON. `log.child({ … })` adds fields to every line; they are cleaned like everything else. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Which process speaks: `hub`, `worker`, … */
  name: string;
  level?: LogLevel;
  /** Coloured lines for people instead of JSON. */
  pretty?: boolean;
  /** Where lines go; standard output unless given. With `pretty` it must be a whole `Writable`. */
  destination?: DestinationStream;
}

/**
 * A logger that keeps secrets out: fields by name at any depth, {@link Secret}s, and texts by form (age identities, private keys,
 * passwords in URLs). Errors under any field are printed with code, message, stack and causes.
 */
export function createLogger({ name, level = "info", pretty: asText = false, destination }: LoggerOptions): Logger {
  const options = {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: object) => scrub(fields) as Record<string, unknown>,
    },
    // Errors are described by the formatter already; pino's own serializer would copy every property of theirs.
    serializers: { err: (error: unknown) => error },
    // What is written as the message, and what others formatted into it, is cleaned by form at the very end.
    hooks: { streamWrite: scrubText },
  };
  const target = asText ? pretty({ colorize: true, ...(destination ? { destination } : {}) }) : destination;
  const logger = target ? pino(options, target) : pino(options);
  const makeChild = logger.child;
  // A child's fields bypass the formatter in pino; children inherit this method, so grandchildren are covered as well.
  logger.child = function child(this: Logger, bindings, childOptions) {
    return makeChild.call(this, scrub(bindings) as typeof bindings, childOptions);
  } as typeof makeChild;
  return logger;
}

/** The logger of one request: every line carries its id, which the error that a client sees carries too. */
export function requestLogger(log: Logger, requestId: string): Logger {
  return log.child({ requestId });
}
