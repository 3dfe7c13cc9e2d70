-- The account of the cluster's permits: one hash, one script, run for every renewal. Times are in milliseconds.
-- KEYS[1]  the hash: field `account` holds the shared state, every other field one worker; values are JSON arrays.
-- ARGV     now (empty: the clock of Redis; only contract tests set it), run id of the server, verb, worker id, and for
--          a renewal (`beat`): seq, claim, wanted, inFlight, cap, cutoff, arrivals, standing, workers, epoch, version
-- Returns  {1, lease, standing, learning, workers, epoch, version, cap, held, inFlight, wanted, short, cutoff, recent},
--          or {0} for a renewal that is not newer than the last one. All numbers are integers.
local TTL, RETENTION, MARK, SWEEP, RECENT, WORKERS_MAX = 900, 600000, 10000, 86400000, 10000, 512
local STEP_MAX, STEP_DOUBTFUL = 150, 50
local JOINING, MEMBER, EXITED = 1, 2, 3
-- Indexes into the array of a worker, and into that of the account.
local SEQ, EXPIRES, LEASE, WANTED, INFLIGHT, CAP, CUTOFF, ARRIVALS, ACK, STANDING, SINCE, FRESH =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
local RUN_ID, TIME, CLOCK, EPOCH, LEARNING_UNTIL, WORKERS, FRESH_WORKERS, VERSION, SWEEP_AT, NAMELESS =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local run_id, verb, id = ARGV[2], ARGV[3], ARGV[4]

-- Returns an array of this length whose members from `first` on are whole numbers, or nil for anything else.
local function decode(text, length, first)
  local is_json, array = pcall(cjson.decode, text)
  if not is_json or type(array) ~= 'table' or #array ~= length then return nil end
  for i = first, length do
    local number = array[i]
    if type(number) ~= 'number' or number ~= math.floor(number) or math.abs(number) > 2 ^ 53 then return nil end
  end
  return array
end

local fields, texts = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #fields, 2 do texts[fields[i]] = fields[i + 1] end
local account = texts.account and decode(texts.account, NAMELESS, TIME)
-- Without the account, the workers on record mean nothing: start again, as after a flush.
local is_void = texts.account ~= nil and not account
if is_void then texts = {} end
texts.account = nil

local workers, known, corrupt = {}, 0, {}
for name, text in pairs(texts) do
  local worker = decode(text, FRESH, SEQ)
  local is_valid = worker and worker[LEASE] >= 0 and worker[STANDING] >= JOINING and worker[STANDING] <= EXITED
  -- No lease lasts longer than TTL. One that does would hold its permits forever.
  if is_valid and (not account or worker[EXPIRES] <= account[CLOCK] + TTL) then
    workers[name] = worker
    known = known + 1
  else
    corrupt[#corrupt + 1] = name
  end
end

local mine = workers[id]
local seq = verb == 'beat' and tonumber(ARGV[5]) or 0
if mine and (mine[STANDING] == EXITED or (verb == 'beat' and seq <= mine[SEQ])) then
  return { 0 }
end
if not mine and known >= WORKERS_MAX then return { 0 } end

if is_void then redis.call('DEL', KEYS[1]) end
for _, name in ipairs(corrupt) do redis.call('HDEL', KEYS[1], name) end

local changed = {}
local is_new = not account
if is_new then account = { run_id, now, 0, 0, 0, 0, 0, 0, SWEEP, 0 } end
local gap = now - account[TIME]
if is_new or #corrupt > 0 or account[RUN_ID] ~= run_id or gap < 0 or gap > TTL then
  -- The leases on record may be lost or stale. For one TTL, after which every unconfirmed lease has expired, accept
  -- claims as they are and grant nothing else. Keep the number of workers: too high is safe.
  account[RUN_ID] = run_id
  account[EPOCH] = math.max(account[EPOCH] + 1, now)
  account[LEARNING_UNTIL] = account[CLOCK] + TTL
  account[FRESH_WORKERS] = 0
  for name, worker in pairs(workers) do
    if worker[STANDING] ~= EXITED then
      worker[EXPIRES], worker[LEASE] = math.min(worker[EXPIRES], account[CLOCK]), 0
      -- An acknowledgement of -1 marks a worker that has not renewed in this epoch.
      worker[ACK], worker[FRESH] = -1, 0
      changed[name] = true
    end
  end
else
  -- The account has its own clock. Renewals are more frequent than STEP_MAX, so a wider gap may be a jump of the server
  -- clock, which must not expire a lease early by more than 200 ms. After a silence, leases last slightly longer.
  account[CLOCK] = account[CLOCK] + (gap > STEP_MAX and STEP_DOUBTFUL or gap)
end
account[TIME] = now
local clock = account[CLOCK]

-- Remove silent workers by name after RETENTION, and marks of exits after MARK, when no renewal can still be on its
-- way. Silent workers keep counting until one or two SWEEPs later.
local named = 0
for name, worker in pairs(workers) do
  if name ~= id and clock - worker[EXPIRES] > (worker[STANDING] == EXITED and MARK or RETENTION) then
    account[FRESH_WORKERS] = account[FRESH_WORKERS] - worker[FRESH]
    workers[name], changed[name] = nil, nil
    redis.call('HDEL', KEYS[1], name)
  elseif worker[STANDING] ~= EXITED then
    named = named + 1
  end
end
if clock >= account[SWEEP_AT] then
  local nameless = math.max(0, account[WORKERS] - named)
  local forgotten = math.min(nameless, account[NAMELESS])
  account[WORKERS] = account[WORKERS] - forgotten
  account[NAMELESS] = nameless - forgotten
  account[SWEEP_AT] = clock + SWEEP
end

local function save()
  local arguments = { 'account', cjson.encode(account) }
  for name in pairs(changed) do
    arguments[#arguments + 1] = name
    arguments[#arguments + 1] = cjson.encode(workers[name])
  end
  redis.call('HSET', KEYS[1], unpack(arguments))
  redis.call('PEXPIRE', KEYS[1], 2 * SWEEP)
end

if verb == 'exit' then
  if mine then
    account[WORKERS] = account[WORKERS] - 1
    account[FRESH_WORKERS] = account[FRESH_WORKERS] - mine[FRESH]
  end
  -- Leave a mark, so that a delayed renewal does not bring the worker back.
  workers[id] = { 0, clock, 0, 0, 0, 0, 0, 0, 0, EXITED, 0, 0 }
  changed[id] = true
  save()
  return { 1 }
end

local claim, wanted, in_flight, cap = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local standing, knows = tonumber(ARGV[12]), tonumber(ARGV[13])
local was_away = not mine or mine[ACK] < 0 or clock >= mine[EXPIRES]
if not mine or mine[ACK] < 0 then
  local fresh = 0
  if not mine then named = named + 1 end
  if not mine and standing == 0 then
    fresh = 1
    account[FRESH_WORKERS] = account[FRESH_WORKERS] + 1
    account[WORKERS] = account[WORKERS] + 1
  elseif tonumber(ARGV[14]) ~= account[EPOCH] then
    -- This worker and those it knew of were counted before the account lost its state; add those that joined since.
    local base = math.max(account[WORKERS] - account[FRESH_WORKERS], knows)
    account[WORKERS] = base + account[FRESH_WORKERS]
  end
  account[WORKERS] = math.max(account[WORKERS], named)
  account[VERSION] = account[VERSION] + 1
  mine = { 0, 0, 0, 0, 0, 0, 0, 0, 0, standing == MEMBER and MEMBER or JOINING, account[VERSION], fresh }
  workers[id] = mine
end
mine[SEQ], mine[EXPIRES], mine[LEASE], mine[WANTED] = seq, clock + TTL, claim, wanted
mine[INFLIGHT], mine[CAP], mine[CUTOFF], mine[ARRIVALS] = in_flight, cap, tonumber(ARGV[10]), tonumber(ARGV[11])
mine[ACK] = tonumber(ARGV[14]) == account[EPOCH] and tonumber(ARGV[15]) or 0

local learning = clock < account[LEARNING_UNTIL]
if mine[STANDING] == JOINING and not learning then
  -- A worker may hold permits once every live member knows of it and divides the cap accordingly.
  local is_known = true
  for name, worker in pairs(workers) do
    if worker[STANDING] == MEMBER and clock < worker[EXPIRES] and worker[ACK] < mine[SINCE] then is_known = false end
  end
  if is_known then mine[STANDING] = MEMBER end
end

local held, in_flight_all, wanted_all, arrivals, weighted, recent, members = 0, 0, 0, 0, 0, 0, {}
for name, worker in pairs(workers) do
  if worker[STANDING] ~= EXITED and clock < worker[EXPIRES] + RECENT then recent = recent + 1 end
  if worker[STANDING] ~= EXITED and clock < worker[EXPIRES] then
    held = held + worker[LEASE]
    in_flight_all = in_flight_all + worker[INFLIGHT]
    wanted_all = wanted_all + worker[WANTED]
    arrivals = arrivals + worker[ARRIVALS]
    weighted = weighted + worker[CUTOFF] * worker[ARRIVALS]
    cap = math.min(cap, worker[CAP])
    if worker[STANDING] == MEMBER then members[#members + 1] = worker end
  end
end

-- Max-min fairness: the smallest demand is served first, with at most an equal part of what is left for the rest.
local function fair_share()
  table.sort(members, function(a, b)
    if a[WANTED] ~= b[WANTED] then return a[WANTED] < b[WANTED] end
    return a[SINCE] < b[SINCE]
  end)
  local left, share, place = cap, 0, 0
  for i, worker in ipairs(members) do
    local part = math.min(worker[WANTED], math.floor(left / (#members - i + 1)))
    left = left - part
    if worker == mine then share, place = part, i end
  end
  -- Split unclaimed permits evenly, so that an idle worker can serve if Redis becomes unavailable.
  local evenly = math.floor(left / #members)
  local rest = left - evenly * #members
  return share + evenly + (place <= rest and 1 or 0)
end

local others, lease = held - claim, 0
local fitting = held > cap and math.floor(claim * cap / held) or claim
if learning then
  lease = fitting
elseif mine[STANDING] == MEMBER then
  local target = fair_share()
  if claim < target then
    lease = claim + math.min(target - claim, math.max(0, cap - held))
  else
    lease = target
  end
  -- A returning worker finds its permits lent out, and takes no new ones until they are returned.
  if held > cap then lease = math.min(lease, was_away and math.max(0, cap - others) or fitting) end
end
-- Record a lower lease only once the worker has confirmed it.
mine[LEASE] = math.max(claim, lease)
changed[id] = true
save()
return {
  1, lease, mine[STANDING], learning and 1 or 0, account[WORKERS], account[EPOCH], account[VERSION], cap,
  others + mine[LEASE], in_flight_all, wanted_all, wanted_all > cap and 1 or 0,
  arrivals > 0 and math.floor(weighted / arrivals) or 0,
  -- After a loss of state, not all of them have renewed yet.
  learning and math.max(recent, account[WORKERS]) or recent,
}
