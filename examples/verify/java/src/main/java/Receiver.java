import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

/** Receives the events of a push consumer, and verifies them. */
public final class Receiver {
    static final int MAX_BYTES = 8 * 1024 * 1024; // An event is never longer.

    /** Returns whether the request is authentic. Compares in constant time, and allows 5 minutes. */
    static boolean verify(Webhook webhook, String body, Map<String, List<String>> headers) {
        try {
            webhook.verify(body, headers);
            return true;
        } catch (WebhookVerificationException error) {
            return false;
        }
    }

    public static void main(String[] args) throws Exception {
        var webhook = new Webhook(System.getenv("WEBHOOK_SECRET"));
        var port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(10));
        server.createContext("/", exchange -> {
            try (exchange) {
                var bytes = exchange.getRequestBody().readNBytes(MAX_BYTES);
                var body = new String(bytes, StandardCharsets.UTF_8);
                if (!verify(webhook, body, exchange.getRequestHeaders())) {
                    exchange.sendResponseHeaders(401, -1);
                    return;
                }
                // Parse and store the event here, once per webhook-id. Answer 2xx only afterwards.
                System.out.println(exchange.getRequestHeaders().getFirst("webhook-id"));
                exchange.sendResponseHeaders(204, -1);
            }
        });
        server.start();
    }
}
