#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Work for check-debian: every line must come out the same on every CPU.
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /usr/lib/x86_64-linux-gnu 2>/dev/null || cd /
cat libc.so.6 libcrypto.so.3 | sha256sum
cat libc.so.6 | md5sum
cat libc.so.6 libstdc++.so.6 | gzip -9n | sha256sum
cat libc.so.6 | xz -6 -T1 | sha256sum
cat libc.so.6 | bzip2 2>/dev/null | sha256sum
echo 'scale=300; 4*a(1)' | bc -l
echo '2^4000 % 10^50 + sqrt(2)' | bc -l
sqlite3 :memory: "create table t(a integer, b text, c real); with recursive n(i) as (select 1 union all select i+1 from n where i<20000) insert into t select i, hex(i*7919), i/7.0 from n; select count(*), sum(a), sum(length(b)), sum(c), avg(c*c), max(b) from t where a%3=1; select b, c from t order by b desc limit 5;"
python3 - <<'PY'
import hashlib, math, zlib, random, struct
random.seed(42)
a=[random.random() for _ in range(20000)]
print(sum(a), math.fsum(a), sorted(a)[:3], max(a))
print([math.sin(x)*math.exp(x)/math.sqrt(x+1) for x in a[:8]])
print(pow(3, 10**5, 2**521-1))
print(hashlib.sha512(repr(a).encode()).hexdigest(), hashlib.blake2b(b'x'*100000).hexdigest())
print(zlib.crc32(repr(a[::2]).encode()), zlib.adler32(b'abc'*10000))
print(struct.pack('<dfq', math.pi, math.e, -5).hex(), 2**3000 % 997, 10**300//7**100)
print('%.17g %.3e %r' % (1/3, 12345.678, 1e-320), float('1e308')*10, math.gamma(5.5), math.erf(.3))
d={}
for i in range(50000): d[i*7919%65536]=d.get(i*7919%65536,0)+i
print(len(d), sum(d.values()), hash(tuple(sorted(d.items())[:100])))
PY
perl -e '$s=0; for $i (1..200000){$s+=sqrt($i)*($i%7); $h{$i%1000}.=chr(65+$i%26)} printf "%.10f %s\n",$s,join("",map{substr($h{$_},3,1)}sort keys %h);'
gawk 'BEGIN{for(i=1;i<200000;i++){s+=sin(i)*log(i);n=(n*31+i)%1000003} printf "%.12f %d\n",s,n}'
openssl dgst -sha3-256 libc.so.6; openssl enc -aes-256-cbc -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f -in libc.so.6 | sha256sum
openssl enc -chacha20 -K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f -in libc.so.6 | sha256sum
openssl prime -generate -bits 24 >/dev/null; openssl prime 170141183460469231731687303715884105727
printf '%.15Lf %a %g\n' 3.14159265358979323846 1.5 1e100 
seq 1 200000 | shuf --random-source=libc.so.6 | sort -r | sha256sum
