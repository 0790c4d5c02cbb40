"""What Redis does in one step: small Lua scripts, each over the keys of one log partition, which share a slot.

Redis runs a script alone and writes its effects to the append-only file as one transaction, so a script is done or not
done, also when the server is killed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError

from ingest.states.redis_connection import RedisClient, ask


class Script:
    """A script that the server remembers by its hash; one that has forgotten it is sent the text again."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._hash = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(
        self, client: RedisClient, keys: Sequence[str], arguments: Sequence[str | int] | Sequence[str | int | bytes]
    ) -> Any:
        """Run it once over `keys`; errors are those of the client."""
        try:
            return ask(client, "EVALSHA", self._hash, len(keys), *keys, *arguments)
        except NoScriptError:
            return ask(client, "EVAL", self._text, len(keys), *keys, *arguments)


# KEYS: position, epoch; then for each projection its index, the states to keep, the states to remove.
# ARGV: before, after, what the epoch must begin with, how many projections; then for each how many bytes come before
# the name in the key of a state, how many states are kept, how many are removed, and the kept values.
# A hundred states are written at once, which halves the time; a state that is there already is in the index as well.
# Answers nothing when it is done, 'lost' where no such epoch has begun, else the position that is stored.
COMMIT = Script("""
local folded, epoch = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if not (folded and epoch and string.sub(epoch, 1, #ARGV[3]) == ARGV[3]) then return 'lost' end
if folded ~= ARGV[1] then return folded end
local function keep(index, first, key, argument, last)
  local states, names = {}, {}
  for number = 1, last do
    states[2 * number - 1], states[2 * number] = KEYS[key + number], ARGV[argument + number]
    names[2 * number - 1], names[2 * number] = 0, string.sub(KEYS[key + number], first)
  end
  local known = redis.call('EXISTS', unpack(KEYS, key + 1, key + last))
  redis.call('MSET', unpack(states))
  if known < last then redis.call('ZADD', index, unpack(names)) end
end
local key, argument = 3, 5
for _ = 1, tonumber(ARGV[4]) do
  local index, first = KEYS[key], tonumber(ARGV[argument]) + 1
  local kept, removed = tonumber(ARGV[argument + 1]), tonumber(ARGV[argument + 2])
  argument = argument + 2
  for done = 0, kept - 1, 100 do
    keep(index, first, key + done, argument + done, math.min(100, kept - done))
  end
  for number = kept + 1, kept + removed do
    local state = KEYS[key + number]
    redis.call('UNLINK', state)
    redis.call('ZREM', index, string.sub(state, first))
  end
  key, argument = key + 1 + kept + removed, argument + 1 + kept
end
redis.call('SET', KEYS[1], ARGV[2])
return false
""")

# KEYS: the index, then the states to remove. ARGV: how many bytes come before the name in the key of a state.
DROP = Script("""
for number = 2, #KEYS do
  redis.call('UNLINK', KEYS[number])
  redis.call('ZREM', KEYS[1], string.sub(KEYS[number], tonumber(ARGV[1]) + 1))
end
""")

# Begins an epoch where none is in force, after what was left of an earlier one is removed, some states at a time.
# KEYS: position, epoch, the indexes. ARGV: the epoch to begin, the generation it must have, how many states may be
# removed, and for each index what comes before the name in the key of a state.
# Answers the epoch in force, or nothing while there is more to remove. Nobody can commit until it has begun, so a late
# beginner removes nothing of what a faster one has made.
BEGIN = Script("""
local folded, epoch = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if folded and epoch and string.sub(epoch, 1, #ARGV[2]) == ARGV[2] then return epoch end
redis.call('DEL', KEYS[1], KEYS[2])
local room = tonumber(ARGV[3])
for number = 3, #KEYS do
  local names = redis.call('ZRANGE', KEYS[number], 0, room - 1)
  for _, name in ipairs(names) do redis.call('UNLINK', ARGV[number + 1] .. name) end
  if #names > 0 then redis.call('ZREMRANGEBYRANK', KEYS[number], 0, #names - 1) end
  room = room - #names
  if room <= 0 then return false end
end
redis.call('SET', KEYS[1], '-1')
redis.call('SET', KEYS[2], ARGV[1])
return ARGV[1]
""")
