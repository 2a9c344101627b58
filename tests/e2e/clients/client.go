// SPDX-License-Identifier: MIT

// What test_clients.py asks of each client, by Go's net/http: one line for each request.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type echo struct {
	Method   string
	BodySize int `json:"body_size"`
}

func ask(client *http.Client, name, method string, body io.Reader, expect bool) {
	request, err := http.NewRequest(method, os.Args[1], body)
	if err != nil {
		panic(err)
	}
	if expect {
		request.Header.Set("Expect", "100-continue")
	}
	answer, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		panic(err)
	}
	said := echo{Method: "-", BodySize: len(content)}
	if method != "HEAD" {
		if err := json.Unmarshal(content, &said); err != nil {
			panic(err)
		}
	}
	fmt.Println(name, answer.StatusCode, said.Method, said.BodySize)
}

func main() {
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second}, Timeout: 20 * time.Second}
	ask(client, "get", "GET", nil, false)
	ask(client, "post", "POST", bytes.NewReader([]byte("hello")), false)
	ask(client, "chunked", "POST", io.MultiReader(bytes.NewReader([]byte("hello ")), bytes.NewReader([]byte("world"))), false)
	ask(client, "head", "HEAD", nil, false)
	ask(client, "expect", "POST", bytes.NewReader(make([]byte, 100000)), true)
	ask(client, "again", "GET", nil, false)
}
