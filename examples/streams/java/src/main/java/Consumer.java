import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.InetAddress;
import java.net.URI;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import redis.clients.jedis.*;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.params.*;
import redis.clients.jedis.resps.StreamEntry;

/** Reads all events of the log as the consumer group "billing". */
public final class Consumer {
    static final String PREFIX = "cio:", GROUP = "billing";
    static final int BATCH = 100, BLOCK_MS = 2_000, SOCKET_TIMEOUT_MS = 10_000;
    /** Longer than any batch takes: then the consumer of a pending entry is dead. */
    static final long CLAIM_AFTER_MS = 60_000, CLAIM_EVERY_NS = 30_000_000_000L;
    static final StreamEntryID PENDING = new StreamEntryID(), NEW = StreamEntryID.XREADGROUP_UNDELIVERED_ENTRY;
    static volatile boolean stopping;

    /** Must be idempotent: an event can come again, with the same id. If it throws, the event is read again. */
    static void handle(JsonObject event) {
        var subject = event.has("subject") ? event.get("subject").getAsString() : "";
        System.out.println(subject + " " + event.get("id").getAsString() + " " + event.get("type").getAsString());
    }

    static List<String> createGroups(UnifiedJedis client) {
        var count = client.get(PREFIX + "partitions");
        var streams = IntStream.range(0, count == null ? 1 : Integer.parseInt(count))
            .mapToObj(n -> PREFIX + "events:{" + n + "}").toList();
        for (var stream : streams) {
            try {
                client.xgroupCreate(stream, GROUP, PENDING, true);
            } catch (JedisDataException error) {
                if (!error.getMessage().startsWith("BUSYGROUP")) throw error;
            }
        }
        return streams;
    }

    /** Returns when a signal has come. Throws the first error of Redis or of handle. */
    static void consume(UnifiedJedis client, String consumer) {
        Map<String, StreamEntryID> positions = new HashMap<>();
        for (long claimedAt = System.nanoTime() - CLAIM_EVERY_NS; !stopping; ) {
            if (System.nanoTime() - claimedAt >= CLAIM_EVERY_NS) {
                claimedAt = System.nanoTime();
                for (var stream : createGroups(client)) {
                    var claimed = client.xautoclaimJustId(stream, GROUP, consumer, CLAIM_AFTER_MS, PENDING,
                        XAutoClaimParams.xAutoClaimParams().count(BATCH)).getValue();
                    if (!claimed.isEmpty() || !positions.containsKey(stream)) positions.put(stream, PENDING);
                }
            }
            var reply = client.xreadGroup(GROUP, consumer,
                XReadGroupParams.xReadGroupParams().count(BATCH).block(BLOCK_MS), positions);
            for (var stream : reply == null ? List.<Map.Entry<String, List<StreamEntry>>>of() : reply) {
                var entries = stream.getValue();
                if (positions.get(stream.getKey()) != NEW)
                    positions.put(stream.getKey(), entries.isEmpty() ? NEW : entries.get(entries.size() - 1).getID());
                for (var entry : entries) {
                    if (stopping) return;
                    // An entry without fields was deleted from the stream. `cio-webhook doctor` sends test events.
                    var fields = entry.getFields();
                    if (fields != null && !"io.customer.doctor".equals(fields.get("type")))
                        handle(JsonParser.parseString(fields.get("event")).getAsJsonObject());
                    client.xack(stream.getKey(), GROUP, entry.getID());
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        // The same after a restart, and different for each process of the group.
        var consumer = System.getenv().getOrDefault("CONSUMER", InetAddress.getLocalHost().getHostName());
        var url = URI.create(System.getenv().getOrDefault("REDIS_URL", "redis://127.0.0.1:6379"));
        var main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping = true;
            try { main.join(10_000); } catch (InterruptedException ignored) { }
        }));
        var config = DefaultJedisClientConfig.builder(url).blockingSocketTimeoutMillis(SOCKET_TIMEOUT_MS).build();
        var port = url.getPort() == -1 ? 6379 : url.getPort();
        try (var client = RedisClient.builder().hostAndPort(url.getHost(), port).clientConfig(config).build()) {
            while (!stopping) {
                try {
                    consume(client, consumer);
                } catch (RuntimeException error) { // Pending entries come first, so the order is kept.
                    System.err.println("trying again: " + error);
                    Thread.sleep(1000);
                }
            }
        }
    }
}
