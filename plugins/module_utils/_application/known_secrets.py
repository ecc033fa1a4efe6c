# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that an attacker tries first: published values are replaced, values that could be guessed are reported.

Published values are listed as SHA-256, so that a search for one of them does not end here. Their sources:

- Chamilo's own ``.env``, ``.env.dist`` and installer templates;
- the list in github.com/ambionics/symfony-exploits, ``secret_fragment_exploit.py`` (first block);
- developers.ibexa.co/blog/can-you-keep-a-secret, the defaults of eZ Platform and Ibexa;
- the ``.env`` files of symfony/demo, symfony/recipes (``.env.test``), api-platform/api-platform, Sylius/Sylius and of
  boilerplates that documentation copies; the images of Kimai and Wallabag; lexik/jwt-authentication-bundle's README;
- what people type without thinking, such as "secret", and MD5, SHA-1 and SHA-256 of it.
"""

from __future__ import annotations

import hashlib
import re

from .dotenv import SECRETS, Environment

_SHORTEST = 16  # characters; of random hexadecimal digits that is 64 bits
_FEWEST = 8  # different characters: of 32 random hexadecimal digits, one value in 10 million has fewer
_WRITTEN = re.compile(r"chang\w*|secret|pass\W*(?:word|phrase)|example|placeholder|%.*%|\$?\{.*\}|<.*>", re.IGNORECASE)

# The first 16 digits of their SHA-256.
_PUBLISHED = frozenset(
    """
006658dec5c1f096 0156b77d5c571300 035d66bfeb43e417 0437d31027fe0eda 0442ef63303a1991 049da052634feb56
04fa38c04f6a75c7 057ba03d6c441048 05f46314f808abce 07e23ede2756aa3f 08428467285068b4 088b9ca2fe6187b9
09beb77dea878d74 0a4746309f1a5367 0a9ba17478b8e2f9 0be5e898e9422028 0d287772dfced309 0ebe5749fc1cda6a
0f856b6201323274 0ff4c07c13c3a589 113459eb7bb31bdd 128406fe21a76355 12ed7acfd6a27bac 148662ba3a7f5bad
15732be5c9c1999e 15e2b0d3c33891eb 15f957e38e5216c2 1680c6790a7c0791 1685222a763ff8e8 168601827c50b370
181cd58175842122 183ed705d35e2c38 189cde965faa0fa2 1a1f1ee16f6602c8 1afa7e8f1d307e93 1ce4eaa3d85bf61a
1d47277fd095e831 1d68f4aec119872e 1e089e3c5323ad80 1e95ea1f75b9f3b6 1ec1c26b50d5d3c5 1f9233a121057dce
20bb117be59d7fcd 21e4b0a12fb5f8d0 2309813b1aeac40c 237a0d985580acc4 26957c6ecca5fb48 27a064d0ef8d2b43
27bdb472f9f74914 29230f6f44fda0af 293bad18c5eab6bc 299bbc6453f96d5c 29f75494db3c6cbf 2a41e76d1157eb95
2ac1b2366f83d2c6 2afb33674e163327 2b3572ba99c85ce6 2bb80d537b1da3e3 3121d48af320e62a 32b1d37453f3aaba
33c5ebbb01d608c2 33c871960e2d55a3 34e5c5f3b4cf3327 358e86472ec76197 3681e784db13949e 3690b4e87762775b
36dd292533174299 36dd3682f06ec5d7 37a8eec1ce19687d 393e148a9ba6f0ff 3c469e9d6c5875d3 3d7736ad699a4726
3d91b58504a6cc3a 3dff732329f657fd 3f2cd8e57b096fe7 4023435fc8d78a02 4097889236a2af26 41816ab4a8bf1bbd
418dd73df63bfe1d 41af33cfd9061784 42036315414888c2 4254af3dbd221083 426a1c28c61b7ba2 428c651f4bcb8294
42c97db3df4b1373 4318d0ff75af86d7 43fcc331f7126713 443927de43fa7467 44b95c71cf44942d 45eff1960e31c7de
465c194afb65670f 4689cce376cd0e35 47514f228df988fd 48792d284b9441cb 48a237e4257c47ab 48e0954096864b1b
490fc9b1d73fe65c 4914e23374bb211e 49562cfc3b17139e 49dc52e6bf2abe5e 4c168e62107f3951 4e738ca5563c06cf
4f3d276d25a65811 4f5f282e7e716424 505221025f9701f8 50590cf50b102746 5085ae10071e433d 50c62b5c02c35ce4
50d858e0985ecc7f 5122a1d1bc9d8766 5178efd18ac3806c 519e3ece10ca70b6 52955ea362d202c7 52bbea75ee75a6f1
53336a676c64c139 53d52c0cd3e1ac0f 5402ec1220199c69 555f7c785dc70b80 5592da9812976d08 55ba2e34b7806dc2
57f3f4a885244ab4 584ad96033c48784 5885ad7bdb33da94 5899575803417e33 5a0a9233e4503def 5b466d168beccd37
5c0b62eb5fb3087a 5d5933fe08343147 5e884898da280471 5ee86e4e32c325f4 6041ffae3a71c297 60ae4a9635b3381d
60ed83d1b67e5b3b 62f196fe59c6f78d 6523e58bc0eec42c 652c7dc687d98c98 65e84be33532fb78 6729d272daeb8567
6754af9632a2745e 69076fe0142d396b 6a3db7e457a6d0db 6d31c4c9c005c3fd 6d7b113bb7342ceb 6ee12ee4c9ed0a58
6f21714c6f09a763 71495718d760dd8d 72230e899260418e 730d7ccacc0854e2 740b8bf9beba95eb 754fff1d28692042
75f9f86a7ea097e2 763ba1ba65cc8738 76476ba5c4a6bbfb 7709aad7de9f64e6 7857dd89c3f1e0be 7a2fc02187cffac9
7b3d979ca8330a94 7bb70d88ee7f94b5 7c598450786b53d0 7d0dcc1c537adc17 7e58c45b33fc849f 7ef603d450839e66
82640871d80ad525 83ea045aa95442b3 8737fe2e24535f5a 875b9380866e9d56 879adf17f74556c3 894081704c8792e0
8b0cbc6222dd5624 8b17067e5c9a752c 8c6976e5b5410415 8d969eef6ecad3c2 8dcb23dcbc0188ef 8e6e66ed1c63838e
8f0e2f76e22b43e2 908651fe5367594b 90e9a40c6fd235ad 90f97f9dfda976db 91ed12c4637c6010 9477842606113cdf
94cf59d632affa3c 96c3780287c58bd0 96cae35ce8a9b024 96d477715267facb 97b5ec5023b3cef5 998ed4d621742d0c
999cfb4d2e91d083 9a900403ac313ba2 9aeec643b92e4d71 9d90fa5b8004e753 9e8b8ada7aee6149 9f86d081884c7d65
9f9dd1d2e3f189e7 a075d17f3d453073 a1247ee9f7cbd051 a2833ae31b36c75c a2e36367c6550da1 a4cab67b75fe1bdc
a665a45920422f9d a667acc9affed0bf ab061fc6551d4cbf ab38eadaeb746599 ab8e18ef4ebebedd ad6978f1b49f5c6b
adb38db4ab37b1eb ae46c994d30d67a1 aeaf1c026957935a af2bdbe1aa9b6ec1 af87776e1fef7027 b12f48c140f91334
b42beead92ca44bc b5a04226bda8fc65 b7deb5b2557562a2 b8ac4d375f0917ae b8f1fd934a24968c b941637e6bac4d3e
b94ecca99f09d1d7 b9ad4e2fd9030535 b9ccc90caef67aac ba01338ba5fa0c15 bce95e1034f4ed7e bd142ccf59683840
be981baad7a27df7 beb6392a0fa56b9a c22516fcc2ff1899 c245ad955b996874 c2f096c4643808c4 c3ab8ff13720e8ad
c3f13c6956aff828 c43062c082d50991 c5155a3b1cdf4cb9 c6d6adb87b880c0b c775e7b757ede630 c7ae0492a582c466
c9f79d4fd269f199 ca9e680399decb9d caacb78109b3f0b3 cd372fb85148700f cd431b768950cf9c cdf4a007e2b02a0c
cea0e5c98676cc33 cf80cd8aed482d5d d04fd59f3d9a1fd4 d08b85809c9db0af d24258cfa34d6de1 d39d8dbf16026878
d40bc1e7b7bca4a5 d5b03034868f1c8d d63a8b9e70b9d3e0 d6686d7a90bd974d d74ff0ee8da3b980 d7914fe546b68468
d8996778b39470df da3811154d59c426 daa6ee5385205f54 db2d8e82412b775f db37d21181592000 db7441fd63a30d4a
dfc1123018909e3c dfd65117f5a90cf8 e0bc614e4fd035a4 e1f184a383aa7f9e e2186dbdb1bb4193 e7515a26f405b223
e8215b4893567113 e8348049a1e6bbe3 e8395afecda1e232 e8407ef9144564ce e88040e7d0052eeb e8f957d4cbffe50b
e91900f35089d218 e968d45c0a82f271 eace9cec8cdca3ec eba753557ed5d12c ecd71870d1963316 ed92e4c7e54e3f4a
ee258b5e3a3e3b78 ee7ecec60c8ff720 eee577fbf9906efc ef1ea5dd2b28d2c1 ef260e9aa3c673af ef6794dbf3e762cc
ef797c8118f02dfb efa4ee6985aba793 f0628c3c48c47559 f07314a6f345c450 f15ce77f41781a4e f215faf9d88b7f0a
f5a398562a369fdf f72bbc76f873bf2e f75778f7425be4db f759864761e3679e f889d28c02d47679 f8e7bec28c93693c
f97199183fbd3ddd faf5f64bc1bf8bb9 fb86fb757d1241d5 fc11d6f28e59d3cc fc93cb07e1ad9289 fd31c9d78e3e68bf
fdc8481c1253db90 fdcbde4c64f2d67e fef3d83e32b4d981 ff33fdb5f6bf86c9
""".split()
)


def published(environment: Environment) -> tuple[str, ...]:
    """The secrets whose value is published, or empty. Files that were not read are not judged."""
    return tuple(name for name in SECRETS if environment.files and fault(environment.secret(name)))


def weak(environment: Environment) -> dict[str, str]:
    """Those of the administrator's own that could be guessed, with the reason."""
    own = [name for name in SECRETS if environment.files and not fault(environment.secret(name))]
    return {name: why for name in own if (why := weakness(environment.secret(name)))}


def fault(value: str) -> str:
    """Why everybody knows a secret, or an empty text. Nothing of the secret is in it."""
    if not value:
        return "is empty"
    checksum = hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
    return "is published" if checksum[:16] in _PUBLISHED else ""


def weakness(value: str) -> str:
    """Why a secret of the administrator's own could be guessed, or an empty text: a person decides about it."""
    if len(value) < _SHORTEST:
        return f"has fewer than {_SHORTEST} characters"
    if len(set(value)) < _FEWEST:
        return f"has fewer than {_FEWEST} different characters"
    return "has words in it that are written where a secret is to be" if _WRITTEN.search(value) else ""
