--- Peak EWMA with two choices: draws two members by their shares and keeps the first, unless the second promises to be
--- clearly quicker. O(1). After PeakEwma in Twitter's Finagle (2015): the cost of a peer is its moving average of latency, which
--- rises faster than it falls, times its open requests + 1.
---
--- Promises: a peer that is slow, or fails however fast, gets little and is tried again; equal peers get equal shares,
--- below a millisecond too; no member that is not selected, or was tried.
---
--- Where it differs, and why:
---   - The second wins by chance, the more often the cheaper it is, and not at all below BAND: "the lower one wins" turns a
---     difference of a few microseconds into all or nothing.
---   - NOISE is added to every latency: what a scheduler does to a request is not the instance's.
---   - A slow answer lifts the average by RISE of the way, not to the top: one hiccup is no verdict, four are. A quick one lowers
---     it by FALL at least: by time alone, of equal peers the one with more requests would remember more hiccups.
---   - A failure costs PENALTY times the mean latency, at once: measured by its time alone, who fails fast looks best.
---   - What is not seen goes to the mean of all, not to 0: a new peer begins there, and one that was slow comes back.
---
--- The averages (microseconds) are kept on the peers, so that they outlive sets and algorithms.
local alias_sampler = require 'ebbgate.core.alias_sampler'

local exp, max, min = math.exp, math.max, math.min

local picker = { clocked = true }
picker.__index = picker

--- Microseconds in which an average forgets 63 % of what it knew: Finagle's default of ten seconds.
local DECAY = 10e6
local NOISE, BAND, STARK, RISE, FALL = 500, 1.5, 0.3, 1 / 4, 1 / 16
--- In means: what a failure counts, and the most that anything may: above that a member would only come back later.
local PENALTY, WORST = 50, 100

--- What the peers already know: their harmonic mean, which one bad peer hardly moves; 0 if they know nothing.
local function mean_of(members)
  local count, sum = 0, 0
  for i = 1, #members do
    local average = members[i].peer.average
    if average > 0 then count, sum = count + 1, sum + 1 / average end
  end
  return count > 0 and count / sum or 0
end

function picker.new(members, roll)
  local shares = 0
  for i = 1, #members do shares = shares + members[i].share end
  return setmetatable({
    draws = alias_sampler.new(members, roll), size = #members, shares = shares,
    typical_share = shares / max(1, #members),
    mean = mean_of(members), seen = 0, touched = 0,
  }, picker)
end

function picker:carry(previous)
  if previous.park then previous:park() end
  if not previous.mean or previous.mean == 0 then return end
  self.mean, self.seen, self.touched = previous.mean, previous.seen, previous.touched
end

--- What `peer` may be expected to take now.
local function expected(peer, mean, now)
  local average = peer.average
  if average == 0 then return mean end
  return mean + (average - mean) * exp(min(0, peer.touched - now) / DECAY)
end

local function cost(self, member, now)
  local peer = member.peer
  return (expected(peer, self.mean, now) + NOISE) * (1 + peer.open * self.typical_share / member.share)
end

--- What keeps the weights of equal peers whatever noise there is: a heavy peer is first more often, so it would more often be
--- the one to give way. It gives way less by its share of the weights, as if the second might have been itself, but in full if
--- the difference is STARK.
local function fairness(self, first, keep)
  local stark = keep < STARK and keep / STARK or 1
  return 1 - stark * stark * stark * first.share / self.shares
end

function picker:pick(tried, _, now)
  local draws = self.draws
  local first = draws:draw_other(tried)
  local second = first and draws:draw_other(tried, first)
  if not second then return first end
  local keep = BAND * cost(self, second, now) / cost(self, first, now)
  if keep >= 1 or draws:roll() >= (1 - keep * keep) * fairness(self, first, keep) then return first end
  return second
end

--- The latency of all, of answers alone.
local function learn_mean(self, microseconds, now)
  self.seen = self.seen + 1
  local step = max(1 - exp(min(0, self.touched - now) / DECAY), 1 / self.seen)
  if self.mean == 0 then step = 1 end
  self.mean, self.touched = self.mean + (microseconds - self.mean) * step, now
end

function picker:observe(member, microseconds, failed, now)
  local peer = member.peer
  if not failed then learn_mean(self, max(1, microseconds), now) end
  local usual = self.mean + NOISE
  local before = peer.average > 0 and peer.average or self.mean
  local after
  if failed then
    after = max(before, microseconds, PENALTY * usual)
  else
    local rising = microseconds > before or peer.average == 0
    local step = max(1 - exp(min(0, peer.touched - now) / DECAY), rising and RISE or FALL)
    after = before + (microseconds - before) * step
  end
  peer.average, peer.touched = max(1, min(after, WORST * usual)), now
end

return picker
