-- wrk's calls of the data action: wrk ... -s calls.lua URL -- KIND [ARGUMENTS]
--   known CUSTOMERS                    any of customers 1 to CUSTOMERS
--   new FIRST                          a new customer each time, from FIRST on
--   in-turn ACTIONS ENTRIES TOKENS FIRST   every entry and token once, from FIRST on: fills what is to be filled
--   any ACTIONS ENTRIES TOKENS SEED    any of those
-- An entry is an action and a customer. Prints one line of JSON at the end.

local function call(action, customer, token)
    local body = string.format('{"data":{"customer_id":%d}}', customer)
    return string.format("POST /data-action/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n" ..
        "Content-Type: application/json\r\nX-Genesys-Auth-Token: %s\r\nContent-Length: %d\r\n\r\n%s",
        action, token, #body, body)
end

local ACTION, TOKEN = "customer-lookup", "good-token-0123456789abcdef"

local function entry(nth, token, actions)
    local action = nth % actions
    return call(action == 0 and ACTION or string.format("%s-%04d", ACTION, action),
        math.floor(nth / actions) + 1, string.format("good-token-%016d", token))
end

function init(args)
    local kind, random = args[1], math.random
    local a, b, c, d = tonumber(args[2]), tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
    if kind == "known" then
        local known = {}
        for customer = 1, a do known[customer] = call(ACTION, customer, TOKEN) end
        request = function() return known[random(a)] end
    elseif kind == "new" then
        local next = a
        request = function()
            next = next + 1
            return call(ACTION, next, TOKEN)
        end
    elseif kind == "in-turn" then
        local nth = d
        request = function()
            local this = nth
            nth = nth + 1
            return entry(this % b, this % c, a)
        end
    elseif kind == "any" then
        math.randomseed(d)
        request = function() return entry(random(b) - 1, random(c) - 1, a) end
    else
        error("unknown kind " .. kind)
    end
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        '{"calls":%d,"seconds":%f,"p50":%d,"p99":%d,"bad":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.timeout + e.status))
end
