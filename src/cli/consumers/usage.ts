// Tested by test/cli/consumers/command.slow.test.ts.
export const usage = `usage: cio-webhook consumers [ACTION] [options]

Lists the consumers of the event log: push consumers, consumers of the library, and plain Redis Streams groups. Handles
events that a consumer could not process, and parked deliveries. Configured by the environment, like serve.

  (no action)                      every consumer: lag, age of its oldest unprocessed event, last failure, state
  show CONSUMER                    everything about one: settings, failures, dead letters by reason, newest attempts
  test CONSUMER                    send a marked test event directly to a push consumer, and show the exchange
  pause CONSUMER                   send it no events; they stay in the log
  resume CONSUMER                  end a pause
  enable CONSUMER                  re-enable a consumer that answered 410
  remove CONSUMER                  delete a consumer group that is no longer used: the log keeps no events for it then
  dead CONSUMER                    list its dead letters
  replay CONSUMER ID... | FILTER   process dead letters again. Can be interrupted; the same command continues
  drop CONSUMER ID... | FILTER     delete dead letters
  parked                           list parked deliveries: authentic, but not events. Their bodies are encrypted
  parked show DELIVERY             show one; with --reveal, print its body as it was received
  replay-parked DELIVERY... | --all
                                   parse parked deliveries again: those that are events now are appended to the log
  drop-parked DELIVERY... | --all  delete parked deliveries
                                   DELIVERY: as listed, or the id in the response and in the log line

  FILTER for dead, replay and drop:
  --type GLOB   only events of this <object_type>.<metric>, such as email.* (can be repeated)
  --since TIME  only dead letters added since then: 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d
  --reason R    only failed, malformed or interrupted ones
  --all         all of them

  --rate N      replay at most N events per second
  --yes         delete without a question
  --count N     list at most N (default 50)
  --reveal      decrypt the body. Needs the signing key of that time, as current or previous key
  --force       remove a group that was active within a day
  --json        print JSON

States: ok; failing (the last attempt failed); paused; disabled (it answered 410); no_members (the group has no active
member, and the log keeps all events that it has not read). The age is how long it has been in this state;
for failing, since the first failure in a row.
Exit code: 0 ok, 1 a consumer is not ok or has dead letters, or not everything could be done, 2 could not run.`
