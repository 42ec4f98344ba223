<?php
// Receives the events of a push consumer, and verifies them. Runs in any PHP server.
declare(strict_types=1);

const TOLERANCE_S = 300;

/** Returns whether the request is authentic, as Standard Webhooks defines it. Compares in constant time. */
function verify(string $secret, string $id, string $timestamp, string $signatures, string $body): bool
{
    $key = base64_decode(substr($secret, strlen('whsec_')), true);
    if ($key === false || $key === '') throw new InvalidArgumentException('the secret is not whsec_ and base64');
    if (preg_match('/^\d{1,12}$/D', $timestamp) !== 1 || abs(time() - (int) $timestamp) > TOLERANCE_S) return false;
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    $found = false;
    // During a rotation there are several signatures.
    foreach (explode(' ', $signatures) as $signature) {
        $found = hash_equals($expected, $signature) || $found;
    }
    return $found;
}

$header = fn (string $name): string => $_SERVER['HTTP_WEBHOOK_' . $name] ?? '';
$body = file_get_contents('php://input');
if (!verify((string) getenv('WEBHOOK_SECRET'), $header('ID'), $header('TIMESTAMP'), $header('SIGNATURE'), $body)) {
    http_response_code(401);
    return;
}
$event = json_decode($body, true, 512, JSON_BIGINT_AS_STRING | JSON_THROW_ON_ERROR);
// Store the event here, once per webhook-id. Answer 2xx only afterwards.
error_log("{$event['id']} {$event['type']}");
http_response_code(204);
