-- SPDX-License-Identifier: MIT
-- What wrk tells bench.py when it is done, as one line of JSON. Times in microseconds. Requests are wrk's own: no
-- function here runs while it loads. BENCH_UPLOAD in the environment is the size of the body that each has.

local upload = tonumber(os.getenv('BENCH_UPLOAD') or 0)
if upload > 0 then
    wrk.method = 'POST'
    wrk.body = string.rep('x', upload)
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '\nDONE {"requests": %d, "bytes": %d, "duration_us": %d, "errors": %d, "refused": %d, ' ..
            '"p50_us": %d, "p99_us": %d, "p999_us": %d}\n',
        summary.requests, summary.bytes, summary.duration, e.connect + e.read + e.write + e.timeout, e.status,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
