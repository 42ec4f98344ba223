import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import type { PartitionKeys } from './keys.ts'

/*
 * What is remembered lives in generations. A generation is a fixed number of small hashes ("buckets") whose
 * fields are digests: Redis keeps a hash of up to 128 short fields as one flat list, about 19 bytes a digest all
 * told, where a key for each event would cost about 129. New ids go into the newest generation; an id is looked
 * for in every living one. A new generation opens when the newest is half a window old, or full; an old one goes
 * as a whole when the window has passed since its successor opened. So an id is remembered for at least the
 * window and for at most one and a half, and nothing in Redis has an expiry that a clock or an eviction policy
 * (`volatile-*`) could bring forward.
 */

export interface Generation {
  readonly number: number
  /** A power of two. */
  readonly buckets: number
  /** Redis' clock, unix milliseconds. */
  readonly openedAtMs: number
}

/** Newest first. Its text is what every call to append.lua proves it knows. */
export type Generations = readonly Generation[]

/**
 * What is read off a digest, which is base64 and so six bits a character: 72 bits name the event in its bucket, the
 * next 30 choose the bucket. Text, because one argument that is bytes makes ioredis put a whole call together from
 * bytes, at twice the cost. Among 80 million events in 2^20 buckets two share a name and a bucket with a probability
 * of one to a trillion.
 */
const NAME_CHARACTERS = 12
const BUCKET_CHARACTERS = 5

/** 256 buckets hold about 20,000 events and cost nothing while they are empty. */
const FIRST_BUCKETS = 256
/** 2^20 buckets hold about 80 million events. */
const MAX_BUCKETS = 2 ** 20
/** A full generation is followed by one four times its size, so that a backlog needs few of them. */
const GROWTH = 4
/**
 * Ids in one bucket from which its generation counts as full. Buckets fill evenly (by digest), so one with 96
 * means about 80 in most, and still none over the 128 at which Redis would turn it into a real hash table.
 */
export const FULL_BUCKET = 96
/** Ids a bucket of a generation sized by experience is meant to hold. */
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

/** The field by which a digest is remembered in its hash. */
export const memberField = (digest: string): string => digest.slice(0, NAME_CHARACTERS)

/** The hashes in which a digest is, or would be, remembered: one a generation, newest first. */
export function bucketKeysOf(keys: PartitionKeys, generations: Generations, digest: string): string[] {
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

const bucketKey = (keys: PartitionKeys, generation: number, bucket: number): string =>
  keys.bucketPrefix(generation) + bucket.toString(36)

/** A newest generation that is full is followed by a larger one at once. */
export function grow(generations: Generations, nowMs: number): Generations {
  const buckets = (generations[0]?.buckets ?? FIRST_BUCKETS / GROWTH) * GROWTH
  return opened(generations, Math.min(buckets, MAX_BUCKETS), nowMs)
}

/** A generation of half a window is followed by one for as many events as it has brought. */
export function rotate(generations: Generations, nowMs: number, events: number): Generations {
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, events / PLANNED_FILL)))
  return opened(generations, Math.min(Math.max(FIRST_BUCKETS, wanted), MAX_BUCKETS), nowMs)
}

function opened(generations: Generations, buckets: number, nowMs: number): Generations {
  return [{ number: (generations[0]?.number ?? 0) + 1, buckets, openedAtMs: nowMs }, ...generations]
}

/** The generations whose newest possible id has outlived the window. */
export function expiredGenerations(generations: Generations, nowMs: number, windowMs: number): Generations {
  return generations.filter((_, index) => {
    const successor = generations[index - 1]
    return successor !== undefined && nowMs - successor.openedAtMs >= windowMs
  })
}

/** Replaces the list if nobody else has meanwhile. @returns the list that holds now */
export async function swapGenerations(
  redis: RedisClient,
  keys: PartitionKeys,
  from: Generations,
  to: Generations
): Promise<Generations> {
  const args = [formatGenerations(from), formatGenerations(to)]
  return parseGenerations(String(await runScript(redis, swapScript, [keys.generations], args)))
}

/**
 * Opens a new generation when it is time, and removes what has outlived the window: first the buckets, then the
 * name, so that a death in between leaves nothing behind that nobody knows of. Any number of processes may do
 * this at once.
 */
export async function rotateAndExpire(
  redis: RedisClient,
  keys: PartitionKeys,
  windowMs: number
): Promise<void> {
  const nowMs = await serverTimeMs(redis, keys)
  let generations = parseGenerations((await redis.get(keys.generations)) ?? '')
  const [newest] = generations
  if (newest === undefined) return

  if (nowMs - newest.openedAtMs >= windowMs / 2) {
    const next = rotate(generations, nowMs, await estimateEvents(redis, keys, newest))
    generations = await swapGenerations(redis, keys, generations, next)
  }

  const dead = expiredGenerations(generations, nowMs, windowMs)
  if (dead.length === 0) return
  for (const generation of dead) await unlinkGeneration(redis, keys, generation)
  await swapGenerations(
    redis,
    keys,
    generations,
    generations.filter(generation => !dead.includes(generation))
  )
}

/** The clock of the partition's server: the one clock that all replicas of the service share. Unix milliseconds. */
export async function serverTimeMs(redis: RedisClient, keys: PartitionKeys): Promise<number> {
  const [seconds, microseconds] = (await runScript(redis, clockScript, [keys.generations], [])) as [
    string,
    string
  ]
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}

/** About how many ids a generation holds, from a sample of its buckets. */
async function estimateEvents(
  redis: RedisClient,
  keys: PartitionKeys,
  generation: Generation
): Promise<number> {
  const { number, buckets } = generation
  const sample = Array.from({ length: SAMPLED_BUCKETS }, () => Math.floor(Math.random() * buckets))
  const fills = await Promise.all(sample.map(bucket => redis.hlen(bucketKey(keys, number, bucket))))
  return (fills.reduce((sum, fill) => sum + fill, 0) / sample.length) * buckets
}

async function unlinkGeneration(redis: RedisClient, keys: PartitionKeys, { number, buckets }: Generation) {
  for (let first = 0; first < buckets; first += UNLINK_BATCH) {
    const length = Math.min(UNLINK_BATCH, buckets - first)
    await redis.unlink(Array.from({ length }, (_, index) => bucketKey(keys, number, first + index)))
  }
}
