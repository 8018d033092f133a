{"approval":"quell.approval/1","plan":"abababababababababababababababababababababababababababababababab","file_sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","author":"ed25519@example.com","at":"2026-11-22T03:40:00Z","expires":"2026-11-23T03:40:00Z","note":"made with ssh-keygen -Y sign"}
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgwvQ5yYys8jBQ9dRUQHuCMWayLg
kJOAV0Dr76DwCBipMAAAAFcXVlbGwAAAAAAAAABnNoYTUxMgAAAFMAAAALc3NoLWVkMjU1
MTkAAABAkTVeddUtiKAnstmWwFg7Oq/BO8OcAWMq7iLSzBmI96EAOHQ5kIxzFdIJQqVa4H
MoOBC4aQWrz85FCDYUo76TDg==
-----END SSH SIGNATURE-----
{"approval":"quell.approval/1","plan":"abababababababababababababababababababababababababababababababab","file_sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","author":"ecdsa-256@example.com","at":"2026-11-22T03:40:00Z","expires":"2026-11-23T03:40:00Z","note":"made with ssh-keygen -Y sign"}
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
EE4utMaVtTFo1f8+6ReTJJ+wAsUaWr4wpzyXy2DjEBRJXLMGFeytvPgd5dcfmWJSmfwirD
U1EFAt2XBAksPhHEQQAAAAVxdWVsbAAAAAAAAAAGc2hhNTEyAAAAZAAAABNlY2RzYS1zaG
EyLW5pc3RwMjU2AAAASQAAACEAz8QMhJGh2y1A4KylCLBBkrff9pk39IrBQk1He4HrB7kA
AAAgQBNDWT3gq0T3mvAexsnvYsbHpcPHlDqiiN3I5H1hoR0=
-----END SSH SIGNATURE-----
{"approval":"quell.approval/1","plan":"abababababababababababababababababababababababababababababababab","file_sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","author":"ecdsa-384@example.com","at":"2026-11-22T03:40:00Z","expires":"2026-11-23T03:40:00Z","note":"made with ssh-keygen -Y sign"}
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAIgAAAATZWNkc2Etc2hhMi1uaXN0cDM4NAAAAAhuaXN0cDM4NAAAAG
EErjEC2emWDJZH+jkWe2GoyECzaLxkMruESHZrX+9zg2ZAwAbCHmLOwhq0DstY5dhxWl08
Sqet9/IMFkkbXSATZ620FPp5ssZOzEkka1B2GAVl56xJv5py2lQ5jj+rXzfIAAAABXF1ZW
xsAAAAAAAAAAZzaGE1MTIAAACFAAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAABqAAAAMQCf
KZ0R7KtDdAgGqgXdfUiJbX9lAMUML1zowYnvpwjNfI1kxv/pebwfokqiBqo6BDUAAAAxAL
9HlJZpPEXpdTQlL6aXdm1oUo8wgxsVJjatW2CWUG0SjUpe41+QjERuANpe7epSqg==
-----END SSH SIGNATURE-----
{"approval":"quell.approval/1","plan":"abababababababababababababababababababababababababababababababab","file_sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","author":"rsa-2048@example.com","at":"2026-11-22T03:40:00Z","expires":"2026-11-23T03:40:00Z","note":"made with ssh-keygen -Y sign"}
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAARcAAAAHc3NoLXJzYQAAAAMBAAEAAAEBAMtnb9PX039CdhZcNS8g+S
20MwIAKHE4TtNLny3Bffog6wdJiP8LAlpRNdhiYAx19dXlA+//fBtNyUZSbGRNFxVwctYO
7tN65BxXV/r9u8o2vjjG/GEYOhkvGiwrSSqGT7312Qn6CLlwPbS/esrz2Y/GuzootncgWx
jJkqEUCSYoD7N0LehjFustRiRwRyCHr0CGjhzwoLgpwVxvW2v3suTjeBUgCkwSzO0lf/9T
HklLVIo6UMYIXEtyWsb3XjBliDQtdBbqJBMzVZoTwssq5EGcFxLivYr81ULgkwsYiO46GY
0LM4A9xR0wWbx5VhSpiRSPuHSvIKEyxHbvRwGBUQ0AAAAFcXVlbGwAAAAAAAAABnNoYTUx
MgAAARQAAAAMcnNhLXNoYTItNTEyAAABAA7he4V6uAVP+h/juN7MpLBYZ+3vz9wXvNDQiQ
Ozjly26UiYjLmDNZUi6fmEaOwV3S5IOxYpLEgZA3B0eGqadBz55KnK3YJkz1Q7p6+CrahN
ZTsUepsJZ47RlmyQrlg0LDjZLtLB79Wxqt9vCRg3ASsvxCZA8lmgm7PpKT0EdQC73AKxqe
JFgh8fRflVW/4iJknbI9Hl/TxwnMF3kOlktRYpUGrKIxwgNe2TvSEopF/fi3Kzw08C9qiP
URs3T8sz0friiQEBpvrlg6pA7Tv/OCDP1Yfv7PR75C1SQ5dHgKHRqmWAF8EFl6Ux2gEVrp
t5V8nYku4RWzsY9irJonqQC0I=
-----END SSH SIGNATURE-----
{"approval":"quell.approval/1","plan":"abababababababababababababababababababababababababababababababab","file_sha256":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","author":"ecdsa-521@example.com","at":"2026-11-22T03:40:00Z","expires":"2026-11-23T03:40:00Z","note":"made with ssh-keygen -Y sign"}
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAKwAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQAAAI
UEABNoNmvX7Ql+s+eVqeqs5TE4S/xeUBgWdJse95Fw+DzE9o0QApamF5pyAaKl2AAxDDvB
5sCi0kahXjqd5PMksS5oATgcQKkLy4+idTtyuf0yE5WCwpU7LkGM0cklnOfXkFiZ483Czb
w38HTAgvBzuAE/Sr1sfxRa6a8Fa94KVAjXru+MAAAABXF1ZWxsAAAAAAAAAAZzaGE1MTIA
AAClAAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAACKAAAAQXChoLNlStbXpEbtn+cBaId3rU
Ctz31gy6t5Bg6FxroMWXe7SzRbjEPQSNW+hO1xhBlNhOAJKM3d4zHz/Y+NfG8dAAAAQQ71
XDuMghjAtqBhIMsH5TXEYKeRJwFXC+lBWS/3gD4Ud7V7XAVkgmykFpNjSj/UR9UlNANpSX
Q4MFTR/sVm/9FH
-----END SSH SIGNATURE-----
