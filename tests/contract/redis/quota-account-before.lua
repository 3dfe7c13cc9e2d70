-- The accounts of quotas: one hash for each key or organization in use. Times are in milliseconds.
-- KEYS     the hashes. Field `account` is `level:time`, where the level is the number of tokens in use or to be made up
--          for; it falls by the rate. Every other field is a worker: `kept:claimed:wanted:expires`.
-- ARGV     now (empty: the clock of Redis; only tests set it), worker id, and for each hash: rate, capacity, kept,
--          returned, owed, wanted, concurrent_max, claimed, wanted_in_flight
-- Returns  for each hash: tokens granted, milliseconds until more should be fetched, concurrent requests of the worker. Integers.
local TTL, DEBT_SECONDS, BATCH_SECONDS, ARGUMENTS = 1200, 10, 0.025, 9

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local id, replies = ARGV[2], {}

for i, key in ipairs(KEYS) do
  local numbers = {}
  for j = 1, ARGUMENTS do numbers[j] = tonumber(ARGV[2 + (i - 1) * ARGUMENTS + j]) end
  local rate, capacity, kept, returned, owed, wanted, limit, claimed, wanted_in_flight = unpack(numbers)

  local fields = redis.pcall('HGETALL', key)
  if fields.err then
    redis.call('DEL', key)
    fields = {}
  end
  local level, time, kept_all = 0, now, kept
  local claimed_by_others, wanted_by_others, workers, is_contended, gone = 0, 0, 1, false, {}
  for j = 1, #fields, 2 do
    local name, text = fields[j], fields[j + 1]
    if name == 'account' then
      local stored_level, stored_time = string.match(text, '^([%d.e+-]+):(%d+)$')
      level, time = tonumber(stored_level) or 0, tonumber(stored_time) or now
    elseif name ~= id then
      local a, b, c, d = string.match(text, '^(%d+):(%d+):(%d+):(%d+)$')
      local expires = tonumber(d)
      -- No entry lasts longer than TTL: one that does is of another clock.
      if expires and expires > now and expires <= now + TTL then
        local their_claim, their_wanted = tonumber(b), tonumber(c)
        kept_all = kept_all + tonumber(a)
        claimed_by_others = claimed_by_others + their_claim
        wanted_by_others = wanted_by_others + their_wanted
        if their_claim > 0 or their_wanted > 0 then workers = workers + 1 end
        if their_wanted > their_claim then is_contended = true end
      else
        gone[#gone + 1] = name
      end
    end
  end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end

  -- Tokens that are kept unused are still in use. A clock that was set back lets nothing flow.
  level = math.max(0, level - rate * math.max(0, now - time) / 1000)
  level = math.max(0, level - returned, kept_all) + owed
  local granted = math.max(0, math.min(wanted, math.floor(capacity - level)))
  -- After a quota was lowered, the rest of a high level must not last long.
  level = math.min(level + granted, capacity + rate * DEBT_SECONDS)
  local wait = 0
  if granted < wanted and rate > 0 then
    -- Few tokens fit beside those that workers keep. They must be fetched before they overflow.
    local batch = math.min(wanted - granted, math.floor(capacity - kept_all), math.floor(rate * BATCH_SECONDS))
    wait = math.ceil(math.max(0, level + math.max(1, batch) - capacity) / rate * 1000)
  end

  local lease = 0
  if limit > 0 then
    lease = math.min(wanted_in_flight, math.max(0, limit - claimed_by_others))
    if is_contended and wanted_by_others + wanted_in_flight > limit then
      -- Others lack some: no more than an equal part, or what they leave.
      lease = math.min(lease, math.max(math.ceil(limit / workers), limit - wanted_by_others))
    end
  end
  -- A lower lease counts once the worker has confirmed it.
  local claim = math.max(claimed, lease)
  local remaining = 0
  if rate > 0 then remaining = level / rate * 1000 end
  if kept + claim + wanted + wanted_in_flight > 0 then
    redis.call('HSET', key, id, string.format('%d:%d:%d:%d', kept, claim, wanted_in_flight, now + TTL))
  else
    redis.call('HDEL', key, id)
  end
  redis.call('HSET', key, 'account', string.format('%.6f:%.0f', level, now))
  redis.call('PEXPIRE', key, math.ceil(math.max(TTL, remaining)) + TTL)

  replies[#replies + 1] = granted
  replies[#replies + 1] = wait
  replies[#replies + 1] = lease
end
return replies
