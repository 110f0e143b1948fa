#!/usr/bin/env python3
"""Checks exports and proofs of Rastro's books: written from docs/ledger-format.md, and from nothing else.
Prints "whole" or "refused: …" for each file. Needs Python 3.8 or newer and, for signatures, `cryptography`."""
import argparse, base64, collections, hashlib, json, re, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
Vkey = collections.namedtuple("Vkey", "name id type raw")

def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def demand(holds, why):
    if not holds: raise ValueError(why)
def b64(text):
    raw = base64.b64decode(text, validate=True)
    demand(base64.b64encode(raw).decode() == text, "no base64")
    return raw

def ordered(value, depth=0):  # keys by their UTF-16 code units; refuses what has no canonical form
    demand(not isinstance(value, float), "a number is not whole")
    demand(not isinstance(value, int) or abs(value) < 2**53, "a number is too large")
    if not isinstance(value, (dict, list)): return value
    demand(depth < 32, "nested too deeply")
    if isinstance(value, list): return [ordered(one, depth + 1) for one in value]
    return {key: ordered(value[key], depth + 1) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}

def canonical(value): return json.dumps(ordered(value), ensure_ascii=False, separators=(",", ":")).encode()
def parse(raw):
    value = json.loads(raw.decode())
    demand(isinstance(value, dict) and canonical(value) == raw, "no object in canonical form")
    return value
def signed(key, signature, message):
    try: return Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, message) is None
    except InvalidSignature: return False
def vkey(text):
    name, key_id, encoded = text.strip().split("+", 2)
    raw = b64(encoded)
    demand(sha256(name.encode(), b"\n", raw)[:4].hex() == key_id and len(raw) == 33, "no key: " + text)
    return Vkey(name, bytes.fromhex(key_id), raw[0], raw[1:])

def note_of(note):
    text, _, rest = note.rpartition("\n\n")
    demand(rest.endswith("\n") and not re.search(r"[\x00-\x09\x0b-\x1f]", note), "no note")
    lines = [re.fullmatch(r"— ([^\s+\x7f-\x9f]+) (\S+)", line) for line in rest[:-1].split("\n")]
    demand(all(lines) and len(lines) <= 64, "a signature line is none")
    return text + "\n", [(line[1], b64(line[2])) for line in lines]
def checkpoint_of(note):
    head = re.fullmatch(r"([^\s+\x7f-\x9f]+)\n(0|[1-9][0-9]{0,15})\n(\S+)\n(?:.+\n)*", note_of(note)[0])
    demand(head and len(b64(head[3])) == 32 and int(head[2]) < 2**53, "no checkpoint")
    return head[1], int(head[2]), b64(head[3])

class Trust:  # a tlog-policy, and keys that are given by themselves: of logs, or of those who send events
    def __init__(self, policy, keys):
        self.keys, self.logs, self.witnesses, self.groups, self.quorum = keys, list(keys), {}, [], "none"
        for kind, *words in (line.split() for line in policy.split("\n") if line.strip() and line.strip()[0] != "#"):
            if kind == "log": self.logs.append(vkey(words[0]))
            elif kind == "witness": self.witnesses[words[0]] = vkey(words[1])
            elif kind == "quorum": self.quorum = words[0]
            else: self.groups.append((words[0], {"any": 1, "all": len(words) - 2}.get(words[1]) or int(words[1]), words[2:]))

    def believe(self, note):
        (text, lines), origin = note_of(note), checkpoint_of(note)[0]
        of = lambda key: [sig[4:] for name, sig in lines if name == key.name and sig[:4] == key.id]
        logs = [key for key in self.logs if key.name == origin and key.type == 1]
        found = [signed(key, sig, text.encode()) for key in logs for sig in of(key)]
        demand(found and all(found), "not signed by the log")
        seen = {name for name, key in self.witnesses.items() if cosigned(key, of(key), text)}
        for name, least, members in self.groups: seen |= {name} if len(seen.intersection(members)) >= least else set()
        demand(self.quorum in seen | {"none"}, "the quorum is not met")
    def record(self, raw, seq):  # gives the leaf hash, and `prev`
        record = parse(raw)
        demand(len(raw) <= 65535 and sorted(record) == "added event prev recv seq sig v via".split(), "no record")
        demand(record["v"] == 1 and record["seq"] == seq and isinstance(record["event"], dict), "another record")
        for key in self.keys if record["sig"] else ():
            if (key.name, sha256(key.raw)[:8].hex()) == (record["sig"]["by"], record["sig"]["key"]):
                demand(signed(key, b64(record["sig"]["value"]), canonical(record["event"])), "an event is not signed")
        return sha256(b"\0", raw), record["prev"]
def cosigned(key, sigs, text):
    message = lambda sig: b"cosignature/v1\ntime %d\n" % int.from_bytes(sig[:8], "big") + text.encode()
    return key.type == 4 and sigs and all(len(sig) == 72 and signed(key, sig[8:], message(sig)) for sig in sigs)

def verify_proof(text, trust):
    (first, extra, index, *path), note = text.partition("\n\n")[0].split("\n"), text.partition("\n\n")[2]
    demand(first == "c2sp.org/tlog-proof@v1" and extra[:6] == "extra ", "no proof with a record")
    demand(re.fullmatch("index (0|[1-9][0-9]{0,15})", index), "no index")
    (_, size, root), at = checkpoint_of(note), int(index[6:])
    if trust.logs: trust.believe(note)
    node, last = trust.record(b64(extra[6:]), at)[0], size - 1
    for sibling in map(b64, path):  # RFC 9162, 2.1.3.2
        demand(last > 0 and len(sibling) == 32, "a hash too many")
        right = at % 2 == 1 or at == last
        node = sha256(b"\1", sibling, node) if right else sha256(b"\1", node, sibling)
        while right and at and at % 2 == 0: at, last = at // 2, last // 2
        at, last = at // 2, last // 2
    demand(last == 0 and int(index[6:]) < size and node == root, "another root")

def verify_export(file, trust):
    digest, stack, at, prev, trailer = hashlib.sha256(), [], 0, "0" * 64, None
    counts = {"records": 0, "omitted": 0, "unreadable": 0}
    def add(level, node):  # stack: (level, root) of perfect subtrees, the largest first
        while stack and stack[-1][0] == level: level, node = level + 1, sha256(b"\1", stack.pop()[1], node)
        stack.append((level, node))
    raw = file.readline(131072).rstrip(b"\n")
    header = parse(raw)
    demand(sorted(header) == "book filter madeAt origin rastro root size v".split() and header["v"] == 1, "no header")
    for line in iter(lambda: file.readline(131072), b""):
        demand(trailer is None, "something follows the last line")
        digest.update(raw + b"\n")
        raw = line[:-1] if line.endswith(b"\n") else line
        if raw.startswith(b'{"record":'):
            body, _, seq = raw[10:].rpartition(b',"seq":')
            demand(seq == b"%d}" % at and at < header["size"], "another record is due")
            leaf, said = trust.record(body, at)
            demand(prev in (None, said), "a record does not continue the one before")
            add(0, leaf)
            at, prev, counts["records"] = at + 1, leaf.hex(), counts["records"] + 1
            continue
        value = parse(raw)
        if "sha256" in value: trailer = value; continue
        kind = "omitted" if "omitted" in value else "unreadable"
        (begin, end), prev = value[kind], None
        demand(sorted(value) == ["hashes", kind] and at == begin < end <= header["size"], "another record is due")
        counts[kind] += end - begin
        for node in value["hashes"]:
            demand(at < end and re.fullmatch("[0-9a-f]{64}", node), "a hash too many")
            level = next(k for k in range(54) if at % 2 ** (k + 1) or at + 2 ** (k + 1) > end)
            at = add(level, bytes.fromhex(node)) or at + 2**level
        demand(at == end, "a hash too few")
    demand(trailer and at == header["size"], "the export ends too early")
    node = stack.pop()[1] if stack else sha256()
    while stack: node = sha256(b"\1", stack.pop()[1], node)
    checkpoint = trailer["checkpoint"]
    demand(trailer == {"checkpoint": checkpoint, "sha256": digest.hexdigest(), **counts}, "the last line does not fit")
    demand(node.hex() == header["root"], "another root")
    if trust.logs: trust.believe(checkpoint)
    demand(checkpoint is None or checkpoint_of(checkpoint) == (header["origin"], at, node), "another checkpoint")

def verify(path):
    with open(path, "rb") as file:
        if file.peek(1)[:1] == b"{": verify_export(file, trust)
        else: verify_proof(file.read(2**18).decode(), trust)

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("--policy", help="a C2SP tlog-policy file")
options.add_argument("--key", type=vkey, action="append", default=[], help="vkey of a log, machine or service")
options.add_argument("files", nargs="+", help="with neither policy nor key, hashes alone are checked")
given, bad = options.parse_args(), 0
trust = Trust(open(given.policy).read() if given.policy else "", given.key)
for path in given.files:
    try: verify(path); print("whole")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as why: bad = print("refused:", why) or 1
sys.exit(bad)
