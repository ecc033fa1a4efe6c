<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Command;

use Doctrine\DBAL\Connection;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

#[AsCommand('doctrine:migrations:status', 'View the status of a set of migrations.')]
final class MigrationsStatusCommand extends Command
{
    public function __construct(private readonly Connection $connection)
    {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $available = \count(MigrateCommand::VERSIONS);
        $done = (int) $this->connection->fetchOne('SELECT COUNT(*) FROM version');
        foreach (['Executed' => $done, 'Executed Unavailable' => 0, 'Available' => $available, 'New' => $available - $done] as $name => $number) {
            $output->writeln(\sprintf('| Migrations %-22s | %d |', $name, $number));
        }

        return Command::SUCCESS;
    }
}
