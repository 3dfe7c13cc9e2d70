-- The accounts of quotas: one hash for each key or organization in use. Times are in milliseconds.
-- KEYS     the hashes. Field `account` is `level:time`, where the level is the number of tokens in use or to be made up
--          for; it falls by the rate. Field `totals` sums up the workers: `kept:claimed:wanted:active:short:expires`,
--          where the last is when the first of them may expire. Every other field is a worker:
--          `kept:claimed:wanted:expires`. The release before deletes `totals`, and knows all other fields.
-- ARGV     now (empty: the clock of Redis; only tests set it), worker id, and for each hash: rate, capacity, kept,
--          returned, owed, wanted, concurrent_max, claimed, wanted_in_flight
-- Returns  for each hash: tokens granted, milliseconds until more should be fetched, concurrent requests of the worker. Integers.
local TTL, DEBT_SECONDS, BATCH_SECONDS, ARGUMENTS = 1200, 10, 0.025, 9
local WORKER, TOTALS = '^(%d+):(%d+):(%d+):(%d+)$', '^(%d+):(%d+):(%d+):(%d+):(%d+):(%d+)$'
local match, max, min, floor, ceil, format = string.match, math.max, math.min, math.floor, math.ceil, string.format

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end
local id, replies = ARGV[2], {}

-- Sums up the other workers one by one, and forgets those that are silent. Its cost grows with their number.
local function sum_up(key)
  local fields = redis.call('HGETALL', key)
  local kept, claimed, wanted, active, short, first, gone = 0, 0, 0, 0, 0, now + TTL, {}
  for j = 1, #fields, 2 do
    local name = fields[j]
    if name ~= 'account' and name ~= 'totals' and name ~= id then
      local a, b, c, d = match(fields[j + 1], WORKER)
      local expires = tonumber(d)
      -- No entry lasts longer than TTL: one that does is of another clock.
      if expires and expires > now and expires <= now + TTL then
        a, b, c = tonumber(a), tonumber(b), tonumber(c)
        kept, claimed, wanted, first = kept + a, claimed + b, wanted + c, min(first, expires)
        if b > 0 or c > 0 then active = active + 1 end
        if c > b then short = short + 1 end
      else
        gone[#gone + 1] = name
      end
    end
  end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  return kept, claimed, wanted, active, short, first
end

-- Returns the sums over the other workers. Those on record hold until the first worker may have expired.
local function sums_of_others(key, totals, mine, is_later)
  if not totals or not is_later then return sum_up(key) end
  local kept, claimed, wanted, active, short, first = match(totals, TOTALS)
  first = tonumber(first)
  if not first or first <= now or first > now + TTL then return sum_up(key) end
  if not mine then return tonumber(kept), tonumber(claimed), tonumber(wanted), tonumber(active), tonumber(short), first end
  local a, b, c = match(mine, WORKER)
  if not a then return sum_up(key) end
  b, c = tonumber(b), tonumber(c)
  return kept - a, claimed - b, wanted - c, active - ((b > 0 or c > 0) and 1 or 0), short - (c > b and 1 or 0), first
end

for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * ARGUMENTS
  local rate, capacity, kept = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), floor(ARGV[at + 3])
  local returned, owed, wanted = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local limit, claimed, wanted_in_flight = tonumber(ARGV[at + 7]), floor(ARGV[at + 8]), floor(ARGV[at + 9])

  local stored = redis.pcall('HMGET', key, 'account', 'totals', id)
  if stored.err then
    redis.call('DEL', key)
    stored = {}
  end
  local stored_level, stored_time = match(stored[1] or '', '^([%d.e+-]+):(%d+)$')
  local level, time = tonumber(stored_level) or 0, tonumber(stored_time) or now
  local is_later = stored_time and time <= now
  local kept_by_others, claimed_by_others, wanted_by_others, active, short, first =
    sums_of_others(key, stored[2], stored[3], is_later)
  local kept_all = kept + kept_by_others

  -- Tokens that are kept unused are still in use. A clock that was set back lets nothing flow.
  level = max(0, level - rate * max(0, now - time) / 1000)
  level = max(0, level - returned, kept_all) + owed
  local granted = max(0, min(wanted, floor(capacity - level)))
  -- After a quota was lowered, the rest of a high level must not last long.
  level = min(level + granted, capacity + rate * DEBT_SECONDS)
  local wait = 0
  if granted < wanted and rate > 0 then
    -- Few tokens fit beside those that workers keep. They must be fetched before they overflow.
    local batch = min(wanted - granted, floor(capacity - kept_all), floor(rate * BATCH_SECONDS))
    wait = ceil(max(0, level + max(1, batch) - capacity) / rate * 1000)
  end

  local lease = 0
  if limit > 0 then
    lease = min(wanted_in_flight, max(0, limit - claimed_by_others))
    if short > 0 and wanted_by_others + wanted_in_flight > limit then
      -- Others lack some: no more than an equal part, or what they leave.
      lease = min(lease, max(ceil(limit / (active + 1)), limit - wanted_by_others))
    end
  end
  -- A lower lease counts once the worker has confirmed it.
  local claim = max(claimed, lease)
  local is_active = claim > 0 or wanted_in_flight > 0
  local totals = format('%d:%d:%d:%d:%d:%.0f', kept_all, claimed_by_others + claim, wanted_by_others + wanted_in_flight,
    active + (is_active and 1 or 0), short + (wanted_in_flight > claim and 1 or 0), first)
  local account = format('%.6f:%.0f', level, now)
  if is_active or kept + wanted > 0 then
    local mine = format('%d:%d:%d:%.0f', kept, claim, wanted_in_flight, now + TTL)
    redis.call('HSET', key, 'account', account, 'totals', totals, id, mine)
  else
    if stored[3] then redis.call('HDEL', key, id) end
    redis.call('HSET', key, 'account', account, 'totals', totals)
  end
  redis.call('PEXPIRE', key, ceil(max(TTL, rate > 0 and level / rate * 1000 or 0)) + TTL)

  local r = #replies
  replies[r + 1], replies[r + 2], replies[r + 3] = granted, wait, lease
end
return replies
