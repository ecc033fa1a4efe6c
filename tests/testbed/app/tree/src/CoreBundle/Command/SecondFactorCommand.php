<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Command;

use Chamilo\CoreBundle\Security\Totp;
use Doctrine\DBAL\Connection;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

#[AsCommand('testbed:second-factor', 'Give a user a second factor; print the secret in hexadecimal and the code of this moment.')]
final class SecondFactorCommand extends Command
{
    public function __construct(private readonly Connection $connection, private readonly Totp $totp)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this->addArgument('username', InputArgument::REQUIRED);
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $secret = random_bytes(20);
        $changed = $this->connection->update(
            'user',
            ['mfa_enabled' => 1, 'mfa_service' => 'TOTP', 'mfa_secret' => $this->totp->seal($secret)],
            ['username' => $input->getArgument('username')]
        );
        if (!$changed) {
            $output->writeln('No such user.');

            return Command::FAILURE;
        }
        $output->writeln(bin2hex($secret).' '.Totp::code($secret, time()));

        return Command::SUCCESS;
    }
}
