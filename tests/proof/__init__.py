"""The proofs: what no kill, cut, stall, race or full disk may break. ``docs/proof.md`` tells each one's figures."""
