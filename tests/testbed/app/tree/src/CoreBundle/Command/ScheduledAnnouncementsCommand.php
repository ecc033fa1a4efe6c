<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Command;

use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

#[AsCommand('app:send-scheduled-announcements', 'Send scheduled announcements to all users.')]
final class ScheduledAnnouncementsCommand extends Command
{
    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $output->writeln('Announcements sent: 0');

        return Command::SUCCESS;
    }
}
