// Tested by test/log/append.test.ts and test/log/retention.test.ts.
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import type { IndexKeys } from './keys.ts'

/*
 * The dedupe index consists of generations. A generation is a fixed number of small hashes ("buckets") with digests as
 * fields. Redis stores a hash of up to 128 short fields as one flat list, about 19 bytes per digest in total; one key
 * per event would need about 129. New ids go into the newest generation, and every living generation is searched.
 * A new generation opens when the newest is full, or half a window old. A generation expires as a whole when the
 * window has passed since its successor opened. So an id is remembered for at least the window and at most one and a
 * half, and no key has an expiry that a clock or an eviction policy (`volatile-*`) could bring forward.
 */

interface Generation {
  readonly number: number
  /** A power of two. */
  readonly buckets: number
  /** By the clock of Redis, unix milliseconds. */
  readonly openedAtMs: number
}

/** Newest first. append.lua refuses a call whose list, as text, is not the current one. */
export type Generations = readonly Generation[]

/**
 * A digest is base64, six bits per character: 72 bits name the event in its bucket, the next 30 choose the bucket.
 * It is text, because a single binary argument makes ioredis build the whole call from buffers, at twice the cost.
 * Two of 80 million events in 2^20 buckets share a name and a bucket with a probability of one in a trillion.
 */
const NAME_CHARACTERS = 12
const BUCKET_CHARACTERS = 5

/** 256 buckets hold about 20,000 events. Empty ones use no memory. */
const FIRST_BUCKETS = 256
/** 2^20 buckets hold about 80 million events. */
const MAX_BUCKETS = 2 ** 20
/** The successor of a full generation is four times as large, so that a backlog needs few generations. */
const GROWTH = 4
/**
 * A generation counts as full when one bucket has this many ids. Buckets fill evenly (by digest): most have about 80
 * then, and none more than 128, from which on Redis would store it as a real hash table.
 */
export const FULL_BUCKET = 96
/** Planned ids per bucket of a generation that is sized by the one before. */
const PLANNED_FILL = 48

const SAMPLED_BUCKETS = 32
const UNLINK_BATCH = 500

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const BASE64_VALUES = new Uint8Array(128)
for (const [value, character] of [...BASE64].entries()) BASE64_VALUES[character.charCodeAt(0)] = value

const swapScript = loadScript(new URL('compare-and-set.lua', import.meta.url))
const clockScript = loadScript(new URL('server-time.lua', import.meta.url))

export function formatGenerations(generations: Generations): string {
  return generations.map(({ number, buckets, openedAtMs }) => `${number}:${buckets}:${openedAtMs}`).join(' ')
}

export function parseGenerations(text: string): Generations {
  return text
    .split(' ')
    .filter(part => part !== '')
    .map(part => {
      const [number = 0, buckets = FIRST_BUCKETS, openedAtMs = 0] = part.split(':').map(Number)
      return { number, buckets, openedAtMs }
    })
}

/** The field of a digest in its hash. */
export const memberField = (digest: string): string => digest.slice(0, NAME_CHARACTERS)

/** The hashes in which a digest is, or would be, remembered: one per generation, newest first. */
export function bucketKeysOf(keys: IndexKeys, generations: Generations, digest: string): string[] {
  const hash = bucketBits(digest)
  return generations.map(({ number, buckets }) => bucketKey(keys, number, hash % buckets))
}

function bucketBits(digest: string): number {
  let bits = 0
  for (let index = NAME_CHARACTERS; index < NAME_CHARACTERS + BUCKET_CHARACTERS; index++) {
    bits = bits * 64 + (BASE64_VALUES[digest.charCodeAt(index)] ?? 0)
  }
  return bits
}

const bucketKey = (keys: IndexKeys, generation: number, bucket: number): string =>
  keys.bucketPrefix(generation) + bucket.toString(36)

/** Opens a larger generation, because the newest is full. */
export function grow(generations: Generations, nowMs: number): Generations {
  const buckets = (generations[0]?.buckets ?? FIRST_BUCKETS / GROWTH) * GROWTH
  return opened(generations, Math.min(buckets, MAX_BUCKETS), nowMs)
}

/** Opens a generation sized for `events`, as many as the newest has received in half a window. */
function rotate(generations: Generations, nowMs: number, events: number): Generations {
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, events / PLANNED_FILL)))
  return opened(generations, Math.min(Math.max(FIRST_BUCKETS, wanted), MAX_BUCKETS), nowMs)
}

function opened(generations: Generations, buckets: number, nowMs: number): Generations {
  return [{ number: (generations[0]?.number ?? 0) + 1, buckets, openedAtMs: nowMs }, ...generations]
}

/** The generations whose newest possible id is older than the window. */
function expiredGenerations(generations: Generations, nowMs: number, windowMs: number): Generations {
  return generations.filter((_, index) => {
    const successor = generations[index - 1]
    return successor !== undefined && nowMs - successor.openedAtMs >= windowMs
  })
}

/** Replaces the list unless another process has changed it. @returns the current list. @throws the error of Redis */
export async function swapGenerations(
  redis: RedisClient,
  keys: IndexKeys,
  from: Generations,
  to: Generations
): Promise<Generations> {
  const args = [formatGenerations(from), formatGenerations(to)]
  return parseGenerations(String(await runScript(redis, swapScript, [keys.generations], args)))
}

/**
 * Opens a new generation when it is due, and removes expired ones: first the buckets, then the entry in the list, so
 * that a crash in between leaves no unknown keys. Several processes may do so at the same time.
 *
 * @throws the error of Redis
 */
export async function rotateAndExpire(redis: RedisClient, keys: IndexKeys, windowMs: number): Promise<void> {
  const nowMs = await serverTimeMs(redis, keys)
  let generations = parseGenerations((await redis.get(keys.generations)) ?? '')
  const [newest] = generations
  if (newest === undefined) return

  if (nowMs - newest.openedAtMs >= windowMs / 2) {
    const next = rotate(generations, nowMs, await estimateEvents(redis, keys, newest))
    generations = await swapGenerations(redis, keys, generations, next)
  }

  const expired = expiredGenerations(generations, nowMs, windowMs)
  if (expired.length === 0) return
  for (const generation of expired) await unlinkGeneration(redis, keys, generation)
  await swapGenerations(
    redis,
    keys,
    generations,
    generations.filter(generation => !expired.includes(generation))
  )
}

/**
 * Replaces all generations by an empty one. Its number is new, so that what is appended meanwhile is not removed. The
 * others stay on the list until their buckets are removed: after an error in between, the next call continues. Without
 * the list nobody would know these keys.
 *
 * @throws the error of Redis
 */
export async function restart(redis: RedisClient, keys: IndexKeys): Promise<void> {
  const nowMs = await serverTimeMs(redis, keys)
  let old: Generations = []
  await changeGenerations(redis, keys, generations => {
    old = generations
    return opened(generations, FIRST_BUCKETS, nowMs)
  })
  for (const generation of old) await unlinkGeneration(redis, keys, generation)
  await changeGenerations(redis, keys, generations =>
    generations.filter(({ number }) => old.every(other => other.number !== number))
  )
}

/** Changes the list, and again if another process changes it meanwhile. */
async function changeGenerations(
  redis: RedisClient,
  keys: IndexKeys,
  change: (generations: Generations) => Generations
): Promise<void> {
  let current = parseGenerations((await redis.get(keys.generations)) ?? '')
  for (;;) {
    const next = change(current)
    const swapped = await swapGenerations(redis, keys, current, next)
    if (formatGenerations(swapped) === formatGenerations(next)) return
    current = swapped
  }
}

/** The clock of the partition's server, which all replicas share, in unix milliseconds. @throws the error of Redis */
export async function serverTimeMs(redis: RedisClient, keys: IndexKeys): Promise<number> {
  const [seconds, microseconds] = (await runScript(redis, clockScript, [keys.generations], [])) as [
    string,
    string
  ]
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}

/** Estimates the number of ids in a generation from a sample of its buckets. */
async function estimateEvents(redis: RedisClient, keys: IndexKeys, generation: Generation): Promise<number> {
  const { number, buckets } = generation
  const sample = Array.from({ length: SAMPLED_BUCKETS }, () => Math.floor(Math.random() * buckets))
  const fills = await Promise.all(sample.map(bucket => redis.hlen(bucketKey(keys, number, bucket))))
  return (fills.reduce((sum, fill) => sum + fill, 0) / sample.length) * buckets
}

async function unlinkGeneration(redis: RedisClient, keys: IndexKeys, { number, buckets }: Generation) {
  for (let first = 0; first < buckets; first += UNLINK_BATCH) {
    const length = Math.min(UNLINK_BATCH, buckets - first)
    await redis.unlink(Array.from({ length }, (_, index) => bucketKey(keys, number, first + index)))
  }
}
