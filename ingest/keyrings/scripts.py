"""What happens in Redis in one step: the scripts of the keyring's cache, in Lua.

Below `<prefix>:{keyring}:` (one tag, so one slot of a cluster) are `epoch` (`<id>|<run id of the server>`), `rebuild`
(a lock), and for the epoch in force, below `<id>:`

    aliases      hash    keyed hash of an id -> subject
    s:<subject>  hash    k wrapped key, t linked to, e erasing, a<hash> sealed id, l<subject> earlier subject
    pending      hash    a<hash> -> time, p, proposal            g<subject> -> time, g, who erases it
    erasing      set     subjects
    changes      number  how often an id moved or a subject was erased; `changed` lists the last thousand

An epoch ends with the server process it was made on: data that come back from a disk or a replica may lack the last
second, and then the topic is read again. A proposal is a lease: until `FENCE_MS` have passed nobody but its holder
writes that id to the topic, and afterwards the holder no longer does; the time in it tells leases apart. A guard
is the same for all that is known of a subject.
"""

from __future__ import annotations

FENCE_MS = (
    8_000  # how long after a claim its process may still write: begin within 1 s, connect and send for 6, 1 to spare
)
HELP_AFTER_MS = 30_000  # a proposal that nobody came back for is completed by whoever claims next
HELPED_MAX = 8  # of those, at once
PENDING_MAX = 100_000  # a broker is away and visitors come: beyond it they are refused
CHANGED_KEPT_MAX = 1_000  # a process that missed more forgets all it remembers

_BASE = """
local base = ARGV[1]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
"""

_OPEN = (
    _BASE
    + f"""
local FENCE, KEPT = {FENCE_MS}, {CHANGED_KEPT_MAX}
local epoch = redis.call('GET', base .. 'epoch')
if not epoch or string.match(epoch, '|(%x+)$') ~= run then return {{'stale'}} end
epoch = string.match(epoch, '^(%x+)|')
local at = base .. epoch .. ':'
local aliases, pending, erasing = at .. 'aliases', at .. 'pending', at .. 'erasing'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function stamp(state) return string.format('%013d', now) .. state end
local function time(entry) return tonumber(string.sub(entry, 1, 13)) end
local function age(entry) return now - time(entry) end
local function body(entry) return string.sub(entry, 15) end
local function person(subject) return at .. 's:' .. subject end
local function found(mac)
  local subject = redis.call('HGET', aliases, mac)
  if not subject then return false, false end
  local key = redis.call('HGET', person(subject), 'k')
  if not key then return false, false end
  return subject, key
end
local function note(what)
  redis.call('INCR', at .. 'changes')
  redis.call('LPUSH', at .. 'changed', what)
  redis.call('LTRIM', at .. 'changed', 0, KEPT - 1)
end
local function guarded(subject, token)
  local guard = redis.call('HGET', pending, 'g' .. subject)
  return guard and age(guard) < FENCE and body(guard) ~= token
end
local function closure(subject)
  local all, seen, next = {{subject}}, {{[subject] = true}}, 1
  while all[next] do
    local earlier = {{}}
    for _, field in ipairs(redis.call('HKEYS', person(all[next]))) do
      if string.sub(field, 1, 1) == 'l' then earlier[#earlier + 1] = string.sub(field, 2) end
    end
    table.sort(earlier)
    for _, each in ipairs(earlier) do
      if not seen[each] then seen[each] = true; all[#all + 1] = each end
    end
    next = next + 1
  end
  return all
end
local function drop_aliases(subject)
  for _, field in ipairs(redis.call('HKEYS', person(subject))) do
    if string.sub(field, 1, 1) == 'a' then
      local mac = string.sub(field, 2)
      if redis.call('HGET', aliases, mac) == subject then redis.call('HDEL', aliases, mac) end
      redis.call('HDEL', person(subject), field)
      note(field)
    end
  end
end
local function unlink(subject)
  local to = redis.call('HGET', person(subject), 't')
  if to then redis.call('HDEL', person(to), 'l' .. subject) end
end
"""
)

# ARGV: base, known epoch, known changes, hashes of ids. What changed since, and where the ids lead.
LOOK = (
    _OPEN
    + """
local count = tonumber(redis.call('GET', at .. 'changes') or '0')
local missed = count - tonumber(ARGV[3])
local changed = {}
local all = (ARGV[2] ~= epoch or missed > KEPT) and 1 or 0
if all == 0 and missed > 0 then changed = redis.call('LRANGE', at .. 'changed', 0, missed - 1) end
local results = {}
for index = 4, #ARGV do
  local subject, key = found(ARGV[index])
  results[#results + 1] = subject
  results[#results + 1] = key
end
return {'ok', epoch, count, all, changed, results}
"""
)

# ARGV: base, then hash and proposal in turns. For each: found (subject, key), held (time, proposal) or busy.
CLAIM = (
    _OPEN
    + f"""
if redis.call('HLEN', pending) > {PENDING_MAX} then return {{'full'}} end
local results, abandoned = {{}}, {{}}
for index = 2, #ARGV, 2 do
  local mac, proposal = ARGV[index], ARGV[index + 1]
  local subject, key = found(mac)
  if subject then
    results[#results + 1] = {{'found', subject, key}}
  else
    local entry = redis.call('HGET', pending, 'a' .. mac)
    if entry and age(entry) < FENCE then
      results[#results + 1] = {{'busy'}}
    else
      if entry then proposal = body(entry) end
      redis.call('HSET', pending, 'a' .. mac, stamp('p') .. proposal)
      results[#results + 1] = {{'held', now, proposal}}
    end
  end
end
local some = redis.call('HRANDFIELD', pending, {HELPED_MAX}, 'WITHVALUES')
for index = 1, #some, 2 do
  local field, entry = some[index], some[index + 1]
  if string.sub(field, 1, 1) == 'g' then
    if age(entry) > FENCE then redis.call('HDEL', pending, field) end
  elseif age(entry) > {HELP_AFTER_MS} then
    redis.call('HSET', pending, field, stamp('p') .. body(entry))
    abandoned[#abandoned + 1] = {{now, body(entry)}}
  end
end
return {{'ok', results, abandoned}}
"""
)

# ARGV: base, hash. A proposal whose holder can no longer write is ours.
TAKE_OVER = (
    _OPEN
    + """
local field = 'a' .. ARGV[2]
local entry = redis.call('HGET', pending, field)
if not entry then return {'none'} end
if age(entry) < FENCE then return {'busy'} end
redis.call('HSET', pending, field, stamp('p') .. body(entry))
return {'held', now, body(entry)}
"""
)

# ARGV: base, hash, proposal, subject where the id leads now or '', known subject, subject to be linked or ''.
CLAIM_LINK = (
    _OPEN
    + """
local field, known, prior = 'a' .. ARGV[2], ARGV[5], ARGV[6]
if redis.call('HEXISTS', pending, field) == 1 then return {'busy'} end
if guarded(known, '') or (prior ~= '' and guarded(prior, '')) then return {'guarded'} end
local key = redis.call('HGET', person(known), 'k')
if not key or redis.call('HEXISTS', person(known), 'e') == 1 then return {'gone'} end
if (found(ARGV[2]) or '') ~= ARGV[4] then return {'moved'} end
redis.call('HSET', pending, field, stamp('p') .. ARGV[3])
return {'held', now, ARGV[3]}
"""
)

# ARGV: base, then hash, time of the lease, subject, wrapped key or '', sealed id, subject to be linked or ''.
# The proposals are on the broker: from now on they count. For each, where the id leads.
SETTLE = (
    _OPEN
    + """
local results = {}
for index = 2, #ARGV, 6 do
  local mac, lease, subject = ARGV[index], tonumber(ARGV[index + 1]), ARGV[index + 2]
  local wrapped, named, prior = ARGV[index + 3], ARGV[index + 4], ARGV[index + 5]
  local field = 'a' .. mac
  local entry = redis.call('HGET', pending, field)
  if entry and time(entry) == lease then
    local before = redis.call('HGET', aliases, mac)
    if before and before ~= subject then redis.call('HDEL', person(before), field) end
    if wrapped ~= '' then redis.call('HSET', person(subject), 'k', wrapped) end
    redis.call('HSET', aliases, mac, subject)
    redis.call('HSET', person(subject), field, named)
    if prior ~= '' then
      unlink(prior)
      redis.call('HSET', person(prior), 't', subject)
      redis.call('HSET', person(subject), 'l' .. prior, '')
    end
    if before then note(field) end
    redis.call('HDEL', pending, field)
  end
  local to, key = found(mac)
  results[#results + 1] = to
  results[#results + 1] = key
end
return {'ok', results}
"""
)

# ARGV: base, subjects. Everything about them, field and value in turns.
PEOPLE_OF = (
    _OPEN
    + """
local results = {}
for index = 2, #ARGV do results[#results + 1] = redis.call('HGETALL', person(ARGV[index])) end
return {'ok', results}
"""
)

# ARGV: base, subject.
LINKED = _OPEN + "return {'ok', closure(ARGV[2])}"

ERASING = _OPEN + "return {'ok', redis.call('SMEMBERS', erasing)}"

# ARGV: base, subject, token. No new link or id may join the person; what is on its way is told.
GUARD_PERSON = (
    _OPEN
    + """
local subjects = closure(ARGV[2])
for _, subject in ipairs(subjects) do
  if guarded(subject, ARGV[3]) then return {'guarded'} end
end
for _, subject in ipairs(subjects) do redis.call('HSET', pending, 'g' .. subject, stamp('g') .. ARGV[3]) end
local entries = {}
for _, entry in ipairs(redis.call('HVALS', pending)) do
  if string.sub(entry, 14, 14) == 'p' then entries[#entries + 1] = body(entry) end
end
return {'ok', subjects, entries}
"""
)

# ARGV: base, subjects. The broker has forgotten their ids.
BEGUN = (
    _OPEN
    + """
for index = 2, #ARGV do
  local subject = ARGV[index]
  drop_aliases(subject)
  if redis.call('HEXISTS', person(subject), 'k') == 1 then
    redis.call('HSET', person(subject), 'e', '1')
    redis.call('SADD', erasing, subject)
  end
  redis.call('HDEL', pending, 'g' .. subject)
end
return {'ok'}
"""
)

# ARGV: base, subjects. The broker has forgotten them.
DESTROYED = (
    _OPEN
    + """
for index = 2, #ARGV do
  local subject = ARGV[index]
  drop_aliases(subject)
  unlink(subject)
  redis.call('DEL', person(subject))
  redis.call('SREM', erasing, subject)
  note('s' .. subject)
end
return {'ok'}
"""
)

# ARGV: base, token, lease in ms. Who gets the lock ends the epoch, and rebuilds.
BEGIN_REBUILD = (
    _BASE
    + """
local epoch = redis.call('GET', base .. 'epoch')
if epoch and string.match(epoch, '|(%x+)$') == run then return {'ready'} end
if not redis.call('SET', base .. 'rebuild', ARGV[2], 'NX', 'PX', ARGV[3]) then return {'busy'} end
redis.call('DEL', base .. 'epoch')
return {'ours', run}
"""
)

# ARGV: base, token, lease, id of the new epoch, then records of five fields: S subject key linked erasing | s subject |
# A hash subject sealed | a hash. They are applied in the order of the topic.
APPLY = """
local base, at = ARGV[1], ARGV[1] .. ARGV[4] .. ':'
if redis.call('GET', base .. 'rebuild') ~= ARGV[2] then return {'lost'} end
redis.call('PEXPIRE', base .. 'rebuild', ARGV[3])
local aliases, erasing = at .. 'aliases', at .. 'erasing'
local function person(subject) return at .. 's:' .. subject end
local function leave(mac)
  local before = redis.call('HGET', aliases, mac)
  if before then redis.call('HDEL', person(before), 'a' .. mac) end
end
local function unlink(subject)
  local to = redis.call('HGET', person(subject), 't')
  if to then redis.call('HDEL', person(to), 'l' .. subject) end
  redis.call('HDEL', person(subject), 't')
end
for index = 5, #ARGV, 5 do
  local kind, name = ARGV[index], ARGV[index + 1]
  if kind == 'S' then
    unlink(name)
    redis.call('HSET', person(name), 'k', ARGV[index + 2])
    local linked = ARGV[index + 3]
    if linked ~= '' then
      redis.call('HSET', person(name), 't', linked)
      redis.call('HSET', person(linked), 'l' .. name, '')
    end
    if ARGV[index + 4] == '1' then
      redis.call('HSET', person(name), 'e', '1')
      redis.call('SADD', erasing, name)
    end
  elseif kind == 's' then
    unlink(name)
    for _, field in ipairs(redis.call('HKEYS', person(name))) do
      if string.sub(field, 1, 1) == 'a' then redis.call('HDEL', aliases, string.sub(field, 2)) end
    end
    redis.call('DEL', person(name))
    redis.call('SREM', erasing, name)
  else
    leave(name)
    if kind == 'A' then
      redis.call('HSET', aliases, name, ARGV[index + 2])
      redis.call('HSET', person(ARGV[index + 2]), 'a' .. name, ARGV[index + 3])
    else
      redis.call('HDEL', aliases, name)
    end
  end
end
return {'ok'}
"""

# ARGV: base, token, epoch, run. The new epoch is in force, if the server is still the one it was built on.
PUBLISH = (
    _BASE
    + """
if redis.call('GET', base .. 'rebuild') ~= ARGV[2] or run ~= ARGV[4] then return {'lost'} end
redis.call('SET', base .. 'epoch', ARGV[3] .. '|' .. run)
redis.call('DEL', base .. 'rebuild')
return {'ok'}
"""
)
