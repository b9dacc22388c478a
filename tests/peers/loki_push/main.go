// Prints as JSON what Loki's own push package and snappy read from a request body.
package main

import (
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"
)

type line struct {
	Labels   string
	Nanos    int64
	Line     string
	Metadata map[string]string
}

func main() {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	message, err := snappy.Decode(nil, body)
	if err != nil {
		log.Fatal(err)
	}
	var request push.PushRequest
	if err := request.Unmarshal(message); err != nil {
		log.Fatal(err)
	}
	lines := []line{}
	for _, stream := range request.Streams {
		for _, entry := range stream.Entries {
			metadata := map[string]string{}
			for _, pair := range entry.StructuredMetadata {
				metadata[pair.Name] = pair.Value
			}
			nanos := entry.Timestamp.UnixNano()
			lines = append(lines, line{stream.Labels, nanos, entry.Line, metadata})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(lines); err != nil {
		log.Fatal(err)
	}
}
