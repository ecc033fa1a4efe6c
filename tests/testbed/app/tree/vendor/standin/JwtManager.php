<?php

declare(strict_types=1);

namespace Standin;

/**
 * RS256 tokens with the keys of config/jwt, as Lexik's bundle makes them.
 */
final class JwtManager
{
    public function __construct(
        private readonly string $privateKey,
        private readonly string $publicKey,
        private readonly string $passphrase,
        private readonly int $lifetime,
    ) {
    }

    public function create(string $username, array $roles): string
    {
        $key = openssl_pkey_get_private($this->read($this->privateKey), $this->passphrase);
        if (false === $key) {
            throw new \RuntimeException('The private key '.$this->privateKey.' does not open with JWT_PASSPHRASE: '.openssl_error_string());
        }
        $now = time();
        $body = self::encode(json_encode(['typ' => 'JWT', 'alg' => 'RS256']))
            .'.'.self::encode(json_encode(['iat' => $now, 'exp' => $now + $this->lifetime, 'roles' => $roles, 'username' => $username]));
        openssl_sign($body, $signature, $key, \OPENSSL_ALGO_SHA256);

        return $body.'.'.self::encode($signature);
    }

    /**
     * @return array{username: string, exp: int}|null null where the token is not ours, or too old
     */
    public function check(string $token): ?array
    {
        $parts = explode('.', $token);
        if (3 !== \count($parts)) {
            return null;
        }
        $head = json_decode(self::decode($parts[0]), true);
        $claims = json_decode(self::decode($parts[1]), true);
        if (!\is_array($head) || 'RS256' !== ($head['alg'] ?? '') || !\is_array($claims)) {
            return null;
        }
        $key = openssl_pkey_get_public($this->read($this->publicKey));
        if (false === $key) {
            throw new \RuntimeException('The public key '.$this->publicKey.' cannot be read: '.openssl_error_string());
        }
        if (1 !== openssl_verify($parts[0].'.'.$parts[1], self::decode($parts[2]), $key, \OPENSSL_ALGO_SHA256)) {
            return null;
        }

        return ($claims['exp'] ?? 0) > time() && \is_string($claims['username'] ?? null) ? $claims : null;
    }

    public function writeKeyPair(bool $overwrite): bool
    {
        if (!$overwrite && is_file($this->privateKey)) {
            return false;
        }
        $key = openssl_pkey_new(['private_key_bits' => 4096, 'private_key_type' => \OPENSSL_KEYTYPE_RSA]);
        openssl_pkey_export($key, $private, $this->passphrase, ['encrypt_key_cipher' => \OPENSSL_CIPHER_AES_256_CBC]);
        file_put_contents($this->privateKey, $private);
        file_put_contents($this->publicKey, openssl_pkey_get_details($key)['key']);

        return true;
    }

    private function read(string $path): string
    {
        $text = file_get_contents($path);
        if (false === $text) {
            throw new \RuntimeException('Cannot read '.$path);
        }

        return $text;
    }

    private static function encode(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }

    private static function decode(string $text): string
    {
        return (string) base64_decode(strtr($text, '-_', '+/'), true);
    }
}
