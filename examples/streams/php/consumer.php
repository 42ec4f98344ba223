<?php
// Reads all events of the log as the consumer group "billing".
declare(strict_types=1);

const PREFIX = 'cio:';
const GROUP = 'billing';
const BATCH = 100;
const BLOCK_MS = 2_000; // Shorter than SOCKET_TIMEOUT_S.
const SOCKET_TIMEOUT_S = 10.0;
const CLAIM_AFTER_MS = 60_000; // Longer than any batch takes: then the consumer of a pending entry is dead.
const CLAIM_EVERY_S = 30;

/** Must be idempotent: an event can come again, with the same id. If it throws, the event is read again. */
function handle(array $event): void
{
    echo $event['subject'] ?? '', ' ', $event['id'], ' ', $event['type'], "\n";
}

/** Sends a command. phpredis returns false for an error reply, and the methods for streams differ between versions. */
function call(Redis $redis, string|int ...$command): mixed
{
    $redis->clearLastError();
    $reply = $redis->rawCommand(...$command);
    $error = $redis->getLastError();
    return $error === null ? $reply : throw new RedisException($error);
}

function createGroups(Redis $redis): array
{
    $streams = [];
    for ($n = 0; $n < (int) ($redis->get(PREFIX . 'partitions') ?: 1); $n++) {
        $streams[] = $stream = PREFIX . "events:{{$n}}";
        try {
            call($redis, 'XGROUP', 'CREATE', $stream, GROUP, '0', 'MKSTREAM');
        } catch (RedisException $error) {
            str_starts_with($error->getMessage(), 'BUSYGROUP') || throw $error;
        }
    }
    return $streams;
}

/** Returns when a signal has come. Throws the first error of Redis or of handle(). */
function consume(Redis $redis, string $consumer, bool &$stopping): void
{
    $nextClaim = 0;
    $positions = []; // '0': this consumer's pending entries; '>': new ones.
    while (!$stopping) {
        if (time() >= $nextClaim) {
            $nextClaim = time() + CLAIM_EVERY_S;
            foreach (createGroups($redis) as $stream) {
                [, $claimed] = call($redis, 'XAUTOCLAIM', $stream, GROUP, $consumer, CLAIM_AFTER_MS, '0', 'COUNT', BATCH, 'JUSTID');
                $positions[$stream] = $claimed ? '0' : $positions[$stream] ?? '0';
            }
        }
        $reply = call($redis, 'XREADGROUP', 'GROUP', GROUP, $consumer, 'COUNT', BATCH, 'BLOCK', BLOCK_MS,
            'STREAMS', ...array_keys($positions), ...array_values($positions));
        foreach ($reply ?: [] as [$stream, $entries]) {
            if ($positions[$stream] !== '>') $positions[$stream] = $entries ? end($entries)[0] : '>';
            foreach ($entries as [$id, $pairs]) {
                if ($stopping) return;
                // An entry without fields was deleted from the stream. `cio-webhook doctor` sends test events.
                $fields = $pairs ? array_column(array_chunk($pairs, 2), 1, 0) : null;
                if ($fields && $fields['type'] !== 'io.customer.doctor')
                    handle(json_decode($fields['event'], true, 512, JSON_BIGINT_AS_STRING | JSON_THROW_ON_ERROR));
                call($redis, 'XACK', $stream, GROUP, $id);
            }
        }
    }
}

$stopping = false;
pcntl_async_signals(true);
foreach ([SIGTERM, SIGINT] as $signal) pcntl_signal($signal, function () use (&$stopping) { $stopping = true; });
$url = parse_url(getenv('REDIS_URL') ?: 'redis://127.0.0.1:6379');
while (!$stopping) {
    try {
        $redis = new Redis();
        $redis->connect(($url['scheme'] === 'rediss' ? 'tls://' : '') . $url['host'], $url['port'] ?? 6379, 2.0, null, 0, SOCKET_TIMEOUT_S);
        if (isset($url['pass'])) $redis->auth(($url['user'] ?? '') === '' ? urldecode($url['pass']) : [urldecode($url['user']), urldecode($url['pass'])]);
        $redis->select((int) ltrim($url['path'] ?? '', '/')) || throw new RedisException((string) $redis->getLastError());
        // The name is the same after a restart, and different for each process of the group.
        consume($redis, getenv('CONSUMER') ?: gethostname(), $stopping);
    } catch (Exception $error) { // Pending entries come first, so the order is kept.
        fwrite(STDERR, 'trying again: ' . $error->getMessage() . "\n");
        sleep(1);
    }
}
