// SPDX-License-Identifier: MIT

// What test_clients.py asks of each client, by java.net.http: one line for each request. Without TLS it asks for an
// upgrade to h2c first.
import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Client {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    private static String found(String pattern, String text) {
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        return matcher.find() ? matcher.group(1) : "-";
    }

    private static void ask(String url, String name, String method, BodyPublisher body, boolean expect) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).method(method, body).expectContinue(expect)
                .timeout(Duration.ofSeconds(20)).build();
        HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
        String said = answer.body();
        String size = method.equals("HEAD") ? String.valueOf(said.length()) : found("\"body_size\": (\\d+)", said);
        System.out.println(name + " " + answer.statusCode() + " " + found("\"method\": \"(\\w+)\"", said) + " " + size);
    }

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        ask(url, "get", "GET", BodyPublishers.noBody(), false);
        ask(url, "post", "POST", BodyPublishers.ofString("hello"), false);
        ask(url, "chunked", "POST",
                BodyPublishers.ofInputStream(() -> new ByteArrayInputStream("hello world".getBytes())), false);
        ask(url, "head", "HEAD", BodyPublishers.noBody(), false);
        ask(url, "expect", "POST", BodyPublishers.ofByteArray(new byte[100000]), true);
        ask(url, "again", "GET", BodyPublishers.noBody(), false);
    }
}
