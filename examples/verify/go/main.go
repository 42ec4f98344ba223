// Receives the events of a push consumer, and verifies them.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const maxBytes = 8 << 20 // An event is never longer.

// Event is a CloudEvent. Data keeps all digits of numbers, until it is parsed.
type Event struct {
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// verify returns an error if the request is not authentic. It compares in constant time, and allows 5 minutes.
func verify(webhook *standardwebhooks.Webhook, body []byte, headers http.Header) (Event, error) {
	var event Event
	if err := webhook.Verify(body, headers); err != nil {
		return event, err
	}
	return event, json.Unmarshal(body, &event)
}

func main() {
	webhook, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	receive := func(response http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, maxBytes))
		if err != nil {
			http.Error(response, "cannot read the body", http.StatusBadRequest)
			return
		}
		event, err := verify(webhook, body, request.Header)
		if err != nil {
			http.Error(response, "not authentic", http.StatusUnauthorized)
			return
		}
		// Store the event here, once per webhook-id. Answer 2xx only afterwards.
		fmt.Println(event.ID, event.Type)
		response.WriteHeader(http.StatusNoContent)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(receive)))
}
