import express, { type RequestHandler } from 'express';
import { Refusal } from './refusal.js';

/** 256 KiB; of an import 64 MiB. */
const LIMIT = 256 * 1024;
const LARGE = 64 * 1024 * 1024;
const TYPES = ['application/json', 'application/merge-patch+json'];

/** Reads a JSON body. No body at all counts as `{}`; any other type than JSON is refused before it is read. */
export function readBody(large = false): RequestHandler[] {
  return [checkType, large ? parseLarge : parse, fillIn];
}

const [parse, parseLarge] = [parserOf(LIMIT), parserOf(LARGE)];

function parserOf(limit: number): RequestHandler {
  return express.json({
    limit,
    type: TYPES,
    inflate: false,
    reviver: (key: string, value: unknown): unknown => {
      // A record schema would skip it in silence.
      if (key === '__proto__') throw new SyntaxError('"__proto__" is not a member of anything');
      return value;
    },
  });
}

const checkType: RequestHandler = (request, _response, next) => {
  const empty =
    request.get('transfer-encoding') === undefined && (request.get('content-length') ?? '0') === '0';
  if (!empty && !request.is(TYPES))
    throw new Refusal(
      {
        code: 'unsupported_media_type',
        field: 'header.content-type',
        detail: `the body must be application/json, not ${request.get('content-type') ?? 'untyped'}`,
      },
      { Accept: TYPES.join(', ') },
    );
  next();
};

const fillIn: RequestHandler = (request, _response, next) => {
  request.body ??= {};
  next();
};
