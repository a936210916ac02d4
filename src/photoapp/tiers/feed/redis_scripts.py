"""The feed lists' server-side half (DESIGN 4), in Lua.

A list holds ids in descending order, and its last entry may be a marker, which no id can be:

    ``0``    complete to the end                      (no marker: trimmed, its last id is the floor)
    ``-1``   being built
    ``-2``   being built, and trimmed meanwhile

Ids are compared as strings: Lua's numbers are doubles and would take neighbouring ids of 63 bits for one.

A list may grow some entries past its length before it is cut, since cutting at each push would double the price of a
push. Nobody sees it: whatever looks below the head cuts first, or looks away. ``<list>:b`` holds the token of the
build.
"""

from __future__ import annotations

from photoapp.tiers.redis.link import Script

_COMMON = """
local call = redis.call

local function newer(a, b)  -- of two ids
    return #a > #b or (#a == #b and a > b)
end

local function marks(entry)
    return entry == '0' or string.byte(entry) == 45
end

local function cut(list, length)  -- to its length, for good
    local last = call('LINDEX', list, -1)
    if not last then return end
    local count = call('LLEN', list)
    if marks(last) then count = count - 1 end
    if count <= length then return end
    call('LTRIM', list, 0, length - 1)
    if string.byte(last) == 45 then call('RPUSH', list, '-2') end
end

local function place_below(list, id)  -- index and value of the first entry that is not newer than the id
    -- What comes late is late by little and a reader is near the head, so that a few entries often do.
    local stretch = call('LRANGE', list, 0, 15)
    for offset, entry in ipairs(stretch) do
        if marks(entry) or not newer(entry, id) then return offset - 1, entry end
    end
    local low, high, found = #stretch, call('LLEN', list), nil
    while low < high do
        local middle = math.floor((low + high) / 2)
        local entry = call('LINDEX', list, middle)
        if marks(entry) or not newer(entry, id) then
            high, found = middle, entry
        else
            low = middle + 1
        end
    end
    return low, found
end
"""

PUSH = Script(
    _COMMON
    + """
local item, length, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local digits = #item

local function insert(list)
    cut(list, length)
    local _, entry = place_below(list, item)
    -- Below the floor of a list that was trimmed lies a gap, and so does what would lie there.
    if not entry or entry == item or entry == '-2' then return end
    call('LINSERT', list, 'BEFORE', entry, item)
    cut(list, length)
end

for _, list in ipairs(KEYS) do
    local head = call('LINDEX', list, 0)
    if head and head ~= item then
        if #head < digits or (#head == digits and head < item) or string.byte(head) == 45 then
            if call('LPUSHX', list, item) > most then cut(list, length) end
        else
            insert(list)
        end
    end
end
"""
)
"""KEYS: lists. ARGV: item, length, length at which a list is cut."""

PAGE = Script(
    _COMMON
    + """
local list, below = KEYS[1], ARGV[3]
local count, length, idle_s = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if call('GET', KEYS[2]) ~= ARGV[1] .. ' ' .. ARGV[2] then return false end
local last = call('LINDEX', list, -1)
if not last or string.byte(last) == 45 then return false end
local complete, total = last == '0', call('LLEN', list)
if complete then total = total - 1 end
if total > length then complete, total = false, length end
local from = 0
if below ~= '' then
    local at, entry = place_below(list, below)
    from = entry == below and at + 1 or at
end
local page = {}
if from < total then page = call('LRANGE', list, from, math.min(from + count, total - 1)) end
-- Not at each read: it would be a write for the replicas and the disk. And not if it cannot be written now.
if call('TTL', list) < idle_s / 2 then redis.pcall('EXPIRE', list, idle_s) end
return {complete and 1 or 0, total > 0 and call('LINDEX', list, total - 1) or '0', page}
"""
)
"""KEYS: list, state. ARGV: label, highest id but one or '', count, length, seconds without a reader.

The answer has one id more than asked for if there is one.
"""

BEGIN = Script(
    _COMMON
    + """
local list, token, lease_ms, late_ms = KEYS[1], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local own, state = ARGV[1] .. ' ' .. ARGV[2], call('GET', KEYS[2])
if state ~= own then
    local slot = ARGV[3]
    -- Nothing is kept here at all: nothing can be old.
    local empty = not state and (slot == '-1' and call('DBSIZE') or call('CLUSTER', 'COUNTKEYSINSLOT', slot)) == 0
    if not empty then return 0 end
    call('SET', KEYS[2], own)
end
local last = call('LINDEX', list, -1)
if last and string.byte(last) ~= 45 then return 0 end
local held = call('GET', KEYS[3])
if held == token then return 1 end
if last and held and call('PTTL', KEYS[3]) > late_ms then return 0 end
call('SET', KEYS[3], token, 'PX', lease_ms + late_ms)
if not last then call('RPUSH', list, '-1') end
call('EXPIRE', list, tonumber(ARGV[7]))
return 1
"""
)
"""KEYS: list, state, token. ARGV: label, slot or -1, token, lease, how long the token outlives it, idle seconds.

A build's token outlives its lease, so that a late builder whom nobody replaced still finishes.
"""

FINISH = Script(
    _COMMON
    + """
local list, length, complete = KEYS[1], tonumber(ARGV[3]), ARGV[4] == '1'
if call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
call('DEL', KEYS[2])
cut(list, length)
local pushed = call('LRANGE', list, 0, -1)
local marker = table.remove(pushed)
if not marker or string.byte(marker) ~= 45 then return 0 end
local floor = nil
if marker == '-2' then floor, complete = pushed[#pushed], false end
local merged, at = {}, 1
for place = 6, #ARGV do
    local item = ARGV[place]
    -- Pushed ids that were trimmed off already are newer than what the builder read: below them is a gap.
    if floor and newer(floor, item) then break end
    while pushed[at] and newer(pushed[at], item) do
        merged[#merged + 1] = pushed[at]
        at = at + 1
    end
    if pushed[at] == item then at = at + 1 end
    merged[#merged + 1] = item
end
while pushed[at] do
    merged[#merged + 1] = pushed[at]
    at = at + 1
end
local total = math.min(#merged, length)
if #merged > length then complete = false end
call('DEL', list)
for first = 1, total, 500 do
    call('RPUSH', list, unpack(merged, first, math.min(first + 499, total)))
end
if complete then call('RPUSH', list, '0') end
call('EXPIRE', list, tonumber(ARGV[5]))
return 1
"""
)
"""KEYS: list, token. ARGV: token, length, complete, idle seconds, items in descending order."""

DROP = Script("redis.call('UNLINK', unpack(KEYS)) return 0")
"""KEYS: lists and tokens."""

REMOVE = Script(
    _COMMON
    + """
for _, list in ipairs(KEYS) do
    cut(list, tonumber(ARGV[3]))
    if call('LREM', list, 1, ARGV[2]) == 1 and call('LINDEX', list, 0) == '-2' then
        -- Without a lowest id nothing says where the gap begins.
        call('DEL', list, list .. ':b')
    end
end
"""
)
"""KEYS: lists. ARGV: item, length."""

BEAT = Script("""
local call, own = redis.call, ARGV[1] .. ' ' .. ARGV[2]
local state, slot = call('GET', KEYS[1]), ARGV[3]
if not state then
    local keys = slot == '-1' and call('DBSIZE') or call('CLUSTER', 'COUNTKEYSINSLOT', slot)
    if keys == 0 then state = own; call('SET', KEYS[1], own) end
end
if state == own then
    call('SET', KEYS[2], ARGV[4])
    return false
end
if not call('SET', KEYS[3], own .. ' ' .. ARGV[5], 'NX', 'PX', ARGV[6]) then return false end
return {state or '', call('GET', KEYS[2]) or '', own .. ' ' .. ARGV[5]}
""")
"""KEYS: state, beat, lease. ARGV: label, slot or -1, now, a fresh token, lease.

Writes the heartbeat only where the lists are this very process's. Else whoever gets the lease gets the old time.
"""

CLOSE = Script("""
local call, own = redis.call, ARGV[1] .. ' ' .. ARGV[2]
-- The lease names the process that was healed: one that restarted since, from whatever dump, is another.
if call('GET', KEYS[3]) ~= ARGV[3] or string.sub(ARGV[3], 1, #own) ~= own then return 0 end
call('SET', KEYS[1], own)
call('SET', KEYS[2], ARGV[4])
call('DEL', KEYS[3])
return 1
""")
"""KEYS: state, beat, lease. ARGV: label, the gap's token, now."""
